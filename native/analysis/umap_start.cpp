#include "analysis/umap_start.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "analysis/pca.h"
#include "analysis/spectral_start.h"
#include "core/base/random.h"

namespace flexae {
namespace {

constexpr double kExtent = 10;   // umap-learn's
constexpr double kNoise = 1e-4;  // at that extent: points in one place could never part

/// A number of a normal distribution.
double normal_number(uint64_t seed, uint64_t index) {
  const uint64_t bits = random_bits(seed, RandomPurpose::kInitializer, /*a=*/1, index);
  const double u = (static_cast<double>(bits >> 32) + 1) * 0x1p-32;
  const double v = static_cast<double>(bits & 0xffffffff) * 0x1p-32;
  return std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v);
}

at::Tensor random_start(int64_t points, int64_t dims, uint64_t seed) {
  at::Tensor map = at::empty({points, dims}, at::kFloat);
  auto* values = map.mutable_data_ptr<float>();
  for (int64_t i = 0; i < map.numel(); ++i) {
    const uint64_t bits =
        random_bits(seed, RandomPurpose::kInitializer, /*a=*/0, static_cast<uint64_t>(i));
    values[i] = static_cast<float>(static_cast<double>(bits >> 40) * 0x1p-24);
  }
  return map;
}

/// The first principal components; zeros where points have fewer dimensions than the map.
at::Tensor pca_start(const at::Tensor& points, int64_t dims) {
  const int64_t components = std::min({dims, points.size(0), points.size(1)});
  at::Tensor map = at::zeros({points.size(0), dims}, at::kFloat);
  map.narrow(1, 0, components).copy_(fit_pca(points, components).transform(points));
  return map;
}

at::Tensor choose_start(const at::Tensor& points, const FuzzyGraph& graph,
                        const UmapOptions& options, const Progress& progress) {
  const int64_t dims = options.n_components;
  if (options.start == UmapStart::kRandom) {
    return random_start(points.size(0), dims, options.seed);
  }
  // Of a graph in parts the first eigenvectors do no more than to name the parts.
  if (options.start == UmapStart::kSpectral && dims + 2 <= points.size(0) && is_connected(graph)) {
    return spectral_start(graph, dims, progress).vectors;
  }
  return pca_start(points, dims);
}

}  // namespace

at::Tensor umap_start(const at::Tensor& points, const FuzzyGraph& graph, const UmapOptions& options,
                      const Progress& progress) {
  at::Tensor map = choose_start(points, graph, options, progress);
  auto* values = map.mutable_data_ptr<float>();
  const double greatest = map.abs().max().item<double>();
  const double scale = greatest > 0 ? kExtent / greatest : 1;
  for (int64_t i = 0; i < map.numel(); ++i) {
    values[i] = static_cast<float>(static_cast<double>(values[i]) * scale +
                                   kNoise * normal_number(options.seed, static_cast<uint64_t>(i)));
  }
  const at::Tensor least = map.amin(0);
  return map.sub_(least).mul_(kExtent / (map.amax(0)).clamp_min(1e-30)).contiguous();
}

}  // namespace flexae
