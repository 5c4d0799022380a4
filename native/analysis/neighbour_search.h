#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <optional>

#include "analysis/neighbours.h"
#include "analysis/point_distance.h"
#include "analysis/progress.h"

namespace flexae {

/// How neighbours are found.
enum class NeighbourSearch {
  kAuto,  ///< Exactly where that takes half a minute at most, else approximately.
  kExact,
  kApproximate,
};

/// The k nearest of `points` (fp32, N×D, 1 ≤ k ≤ N − 1) for each of them, itself left out;
/// `seed` is that of an approximate search. An exact one computes products on `device`, if one is
/// given; which of both it is does not depend on that. \throws Error (kData, kConfig), Cancelled.
Neighbours find_neighbours(const at::Tensor& points, int64_t k, NeighbourMetric metric,
                           NeighbourSearch search, uint64_t seed, const Progress& progress = {},
                           std::optional<at::Device> device = {});

}  // namespace flexae
