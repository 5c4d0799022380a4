#include "analysis/neighbour_search.h"

#include "analysis/approximate_neighbours.h"
#include "analysis/point_checks.h"

namespace flexae {
namespace {

/// Products of two numbers that an exact search may take: half a minute on two cores.
constexpr double kMostProducts = 1e12;

bool is_exact_soon(const at::Tensor& points) {
  const auto count = static_cast<double>(points.size(0));
  // A short row costs as much as one of some numbers: its order has to be looked at, too.
  return count * count * static_cast<double>(points.size(1) + 20) / 2 <= kMostProducts;
}

}  // namespace

Neighbours find_neighbours(const at::Tensor& points, int64_t k, NeighbourMetric metric,
                           NeighbourSearch search, uint64_t seed, const Progress& progress,
                           std::optional<at::Device> device) {
  const at::Tensor rows = contiguous_rows(points, "the points");
  const bool exact = search == NeighbourSearch::kExact ||
                     (search == NeighbourSearch::kAuto && is_exact_soon(rows));
  if (exact) return nearest_neighbours(rows, k, metric, /*exclude_self=*/true, progress, device);
  return approximate_neighbours(rows, k, metric, seed, progress);
}

}  // namespace flexae
