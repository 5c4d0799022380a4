#include "analysis/device/device_neighbours.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>

#include <algorithm>
#include <limits>
#include <tuple>

#include "analysis/device/device_points.h"

namespace flexae {
namespace {

/// Queries whose orders are looked at together.
constexpr int64_t kQueries = 1024;

/// The least of each row, with the numbers of their points.
struct Least {
  at::Tensor orders;
  at::Tensor points;

  void keep(int64_t count) {
    if (orders.size(1) <= count) return;
    at::Tensor places;
    std::tie(orders, places) = orders.topk(count, /*dim=*/1, /*largest=*/false, /*sorted=*/false);
    points = points.gather(1, places);
  }
};

}  // namespace

void keep_nearest_on(at::Device device, const DistanceFactors& factors, bool exclude_self,
                     int64_t candidates, KeptNearest& kept, const Progress& progress) {
  // The bound of the products' error is that of fp32.
  const at::NoTF32Guard exact;
  const at::Tensor points = factors.points().to(device);
  const at::Tensor numbers = at::arange(points.size(0), points.options().dtype(at::kInt));
  const int64_t queries = factors.queries().size(0);
  for (int64_t first = 0; first < queries; first += kQueries) {
    report_progress(progress, static_cast<double>(first) / static_cast<double>(queries));
    const int64_t rows = std::min(kQueries, queries - first);
    const at::Tensor asked = factors.queries().narrow(0, first, rows).to(device);
    Least least;
    for_row_blocks(points.size(0), rows, [&](int64_t from, int64_t columns) {
      at::Tensor orders = at::mm(asked, points.narrow(0, from, columns).t());
      const int64_t begin = std::max(first, from);
      const int64_t both = std::min(first + rows, from + columns) - begin;
      if (exclude_self && both > 0) {
        orders.narrow(0, begin - first, both)
            .narrow(1, begin - from, both)
            .diagonal()
            .fill_(std::numeric_limits<float>::infinity());
      }
      Least found{orders, numbers.narrow(0, from, columns).expand({rows, columns})};
      found.keep(candidates);
      if (least.orders.defined()) {
        found.orders = at::cat({least.orders, found.orders}, 1);
        found.points = at::cat({least.points, found.points}, 1);
        found.keep(candidates);
      }
      least = found;
    });
    const auto orders = to_host<float>(least.orders);
    const auto found = to_host<int32_t>(least.points);
    for (int64_t i = 0; i < rows * candidates; ++i) {
      const auto at = static_cast<size_t>(i);
      kept.offer(first + i / candidates, orders[at], found[at]);
    }
  }
}

}  // namespace flexae
