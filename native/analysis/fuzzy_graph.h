#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "analysis/neighbours.h"

namespace flexae {

/// Of each point how its distances become strengths: exp(−max(0, d − rho) / sigma).
struct SmoothKnn {
  std::vector<float> sigma;  ///< How fast they fall.
  std::vector<float> rho;    ///< Up to here they are one.
};

/// Chooses sigma so that the strengths of a point's neighbours sum up to log₂(K), as umap-learn's
/// smooth_knn_dist does. \param distances  fp32, N×K, ascending; the first of a row, which
/// umap-learn takes for the point's distance from itself, does not count in the sum. \param
/// local_connectivity  the nearest neighbour at a distance of which the strength is still one; 0
/// for none, and between two neighbours if it is no whole number.
SmoothKnn smooth_knn(const at::Tensor& distances, double local_connectivity);

/// A sparse matrix of strengths, 0 < strength ≤ 1, row by row.
struct FuzzyGraph {
  std::vector<int64_t> begins;      ///< Where each row begins; one more for the end of the last.
  std::vector<int32_t> neighbours;  ///< Of each row ascending.
  std::vector<float> strengths;

  [[nodiscard]] int64_t points() const { return static_cast<int64_t>(begins.size()) - 1; }
};

/// Strengths between points, from their neighbours without themselves: symmetric, p + q − p·q of
/// the two directions' (mixed with p·q if `set_op_mix_ratio` is below one).
FuzzyGraph fuzzy_graph(const Neighbours& neighbours, double set_op_mix_ratio = 1);

/// Strengths of new points' neighbours among others, as umap-learn's transform has them: a row for
/// each new point.
FuzzyGraph fuzzy_graph_of_new(const Neighbours& neighbours);

/// Leaves out what is so weak that it would not be drawn once in `epochs`.
void drop_weak(FuzzyGraph& graph, int64_t epochs);

/// Whether there is a way from each point to each other.
bool is_connected(const FuzzyGraph& graph);

}  // namespace flexae
