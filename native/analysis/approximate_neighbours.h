#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "analysis/neighbours.h"
#include "analysis/progress.h"

namespace flexae {

/// Nearly all of the k nearest of `points` (fp32, N×D, 1 ≤ k ≤ N − 1) for each of them, itself left
/// out, in far less than O(N²·D): neighbours of neighbours are likely to be neighbours (NN-descent;
/// Dong, Moses, Li, 2011), and random projection trees find the first. Distances are exact, and the
/// result is the same for a seed whatever the number of threads. \throws Error (kData, kConfig),
/// Cancelled.
Neighbours approximate_neighbours(const at::Tensor& points, int64_t k, NeighbourMetric metric,
                                  uint64_t seed, const Progress& progress = {});

}  // namespace flexae
