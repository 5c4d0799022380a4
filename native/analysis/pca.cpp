#include "analysis/pca.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "analysis/device/device_pca.h"
#include "analysis/one_thread.h"
#include "analysis/point_checks.h"
#include "core/base/error.h"
#include "core/base/math.h"
#include "core/base/parallel.h"

namespace flexae {
namespace {

/// Rows that are multiplied at once.
constexpr int64_t kRows = 1024;
/// Sums are added up by this many parts of the points, whatever the number of threads.
constexpr int64_t kParts = 16;

/// Σ of part(p) over parts, added up in their order.
template <typename Part>
at::Tensor sum_of_parts(int64_t points, const Part& part) {
  std::vector<at::Tensor> sums(kParts);
  const int64_t size = ceil_div(points, kParts);
  parallel_for(kParts, [&](int64_t p, int) {
    const int64_t begin = std::min(p * size, points);
    const int64_t end = std::min(begin + size, points);
    if (begin < end) sums[static_cast<size_t>(p)] = part(begin, end);
  });
  for (size_t p = 1; p < sums.size(); ++p) {
    if (sums[p].defined()) sums[0].add_(sums[p]);
  }
  return sums[0];
}

at::Tensor mean_of(const at::Tensor& points) {
  at::Tensor sum = sum_of_parts(points.size(0), [&](int64_t begin, int64_t end) {
    const int64_t width = points.size(1);
    at::Tensor part = at::zeros({width}, at::kDouble);
    auto* to = part.mutable_data_ptr<double>();
    const auto* from = points.const_data_ptr<float>();
    for (int64_t i = begin; i < end; ++i) {
      for (int64_t d = 0; d < width; ++d) to[d] += static_cast<double>(from[i * width + d]);
    }
    return part;
  });
  return sum.div_(points.size(0));
}

Scatter scatter_of(const at::Tensor& points) {
  const at::Tensor mean = mean_of(points);
  return {mean, sum_of_parts(points.size(0), [&](int64_t begin, int64_t end) {
            at::Tensor part = at::zeros({points.size(1), points.size(1)}, at::kDouble);
            for (int64_t first = begin; first < end; first += kRows) {
              const int64_t rows = std::min(kRows, end - first);
              const at::Tensor centred = points.narrow(0, first, rows).to(at::kDouble).sub_(mean);
              part.addmm_(centred.t(), centred);
            }
            return part;
          })};
}

}  // namespace

at::Tensor Pca::transform(const at::Tensor& points, std::optional<at::Device> device) const {
  const at::Tensor rows = checked_points(points, "the points");
  check_same_width(components, rows, "the points");
  if (device) return coordinates_on(*device, rows, mean, components);
  at::Tensor coordinates = at::empty({rows.size(0), components.size(0)}, at::kFloat);
  // Two blocks at least: see on_one_thread().
  const int64_t blocks = std::max<int64_t>(2, ceil_div(rows.size(0), kRows));
  parallel_for(blocks, [&](int64_t block, int) {
    const int64_t first = block * kRows;
    const int64_t count = std::min(kRows, rows.size(0) - first);
    if (count <= 0) return;
    const at::Tensor centred = rows.narrow(0, first, count).to(at::kDouble).sub_(mean);
    coordinates.narrow(0, first, count).copy_(at::mm(centred, components.t()));
  });
  return coordinates;
}

Pca fit_pca(const at::Tensor& points, int64_t components, std::optional<at::Device> device) {
  const at::Tensor rows = checked_points(points, "the points");
  const int64_t count = rows.size(0);
  if (count < 2) {
    throw Error(ErrorCode::kData, "principal components need two points at least: give more");
  }
  const int64_t most = std::min(count, rows.size(1));
  if (components < 1 || components > most) {
    throw Error(ErrorCode::kConfig, "of " + std::to_string(count) + " points with " +
                                        std::to_string(rows.size(1)) + " values there are 1 to " +
                                        std::to_string(most) + " principal components, not " +
                                        std::to_string(components));
  }
  Pca pca;
  const Scatter found = device ? scatter_on(*device, rows) : scatter_of(rows);
  pca.mean = found.mean;
  const at::Tensor covariance = found.scatter / (count - 1);
  at::Tensor values;
  at::Tensor vectors;
  on_one_thread([&] { std::tie(values, vectors) = at::linalg_eigh(covariance); });
  // The greatest come last, and rounding may leave some below zero.
  values = values.flip(0).clamp_min(0);
  pca.components = vectors.t().flip(0).narrow(0, 0, components).contiguous();
  pca.explained_variance = values.narrow(0, 0, components).clone();
  const double total = values.sum().item<double>();
  pca.explained_variance_ratio =
      total > 0 ? pca.explained_variance / total : at::zeros_like(pca.explained_variance);
  // An eigenvector and its negative serve alike; one of them is chosen.
  const at::Tensor greatest = pca.components.abs().argmax(1, /*keepdim=*/true);
  const at::Tensor negative = pca.components.gather(1, greatest) < 0;
  pca.components = at::where(negative, -pca.components, pca.components).contiguous();
  return pca;
}

}  // namespace flexae
