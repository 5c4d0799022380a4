#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <optional>

#include "analysis/point_distance.h"
#include "analysis/progress.h"

namespace flexae {

/// For each of N queries its k nearest points, the nearest first.
struct Neighbours {
  at::Tensor indices;    ///< int32, N×k. Of points at equal distances the first comes first.
  at::Tensor distances;  ///< fp32, N×k, each computed from the two points in fp64.
};

/// The exact k nearest of `points` (fp32, N×D) for each of them, 1 ≤ k, in O(N²·D).
/// With `exclude_self` a point is none of its own neighbours, and k ≤ N − 1; else k ≤ N. Products
/// are computed on `device`, if one is given; the result is the same everywhere, bit for bit.
/// \throws Error (kData, kConfig), Cancelled.
Neighbours nearest_neighbours(const at::Tensor& points, int64_t k, NeighbourMetric metric,
                              bool exclude_self = true, const Progress& progress = {},
                              std::optional<at::Device> device = {});

/// The exact k nearest of `points` (fp32, N×D, k ≤ N) for each of `queries` (fp32, M×D), as above.
/// \throws Error (kData, kConfig), Cancelled.
Neighbours nearest_neighbours_of(const at::Tensor& queries, const at::Tensor& points, int64_t k,
                                 NeighbourMetric metric, const Progress& progress = {},
                                 std::optional<at::Device> device = {});

}  // namespace flexae
