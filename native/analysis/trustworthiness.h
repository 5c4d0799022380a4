#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "analysis/point_distance.h"
#include "analysis/progress.h"

namespace flexae {

/// What is judged.
struct TrustworthinessOptions {
  int64_t n_neighbors = 5;  ///< Neighbours in the embedding that are judged; below N/2.
  NeighbourMetric metric = NeighbourMetric::kEuclidean;  ///< Of the points, not of the embedding.
  int64_t sample = 0;  ///< Points that are judged; 0: all of up to 5,000, else 2,000.
  uint64_t seed = 0;   ///< Chooses them.
};

/// How far the neighbours of a point in the `embedding` (fp32, N×K) are its neighbours among
/// `points` (fp32, N×D), too: 1 if all are, less by the ranks of those that are not (Venna and
/// Kaski, 2001; scikit-learn's trustworthiness). Of a sample it is an estimate of the same, in
/// O(sample·N·D). \throws Error (kData, kConfig), Cancelled.
double trustworthiness(const at::Tensor& points, const at::Tensor& embedding,
                       const TrustworthinessOptions& options = {}, const Progress& progress = {});

}  // namespace flexae
