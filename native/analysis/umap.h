#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <optional>

#include "analysis/neighbour_search.h"
#include "analysis/point_distance.h"
#include "analysis/progress.h"
#include "analysis/umap_curve.h"

namespace flexae {

/// Where points of a map begin.
enum class UmapStart {
  kSpectral,  ///< Eigenvectors of the graph; as kPca where it falls into parts.
  kPca,       ///< Principal components.
  kRandom,
};

/// How a map is made.
struct UmapOptions {
  int64_t n_neighbors = 15;  ///< With the point itself: 2 ≤ n_neighbors < N.
  int64_t n_components = 2;  ///< Dimensions of the map, 1…256.
  double min_dist = 0.1;     ///< How close neighbours may lie, 0…spread.
  double spread = 1;         ///< The scale of the map, above 0.
  NeighbourMetric metric = NeighbourMetric::kEuclidean;
  NeighbourSearch search = NeighbourSearch::kAuto;
  UmapStart start = UmapStart::kSpectral;
  int64_t n_epochs = 0;              ///< 0: 500 for up to 10,000 points, else 200.
  double learning_rate = 1;          ///< Above 0.
  double repulsion_strength = 1;     ///< At least 0.
  int64_t negative_sample_rate = 5;  ///< Points drawn to repel for each that attracts, at least 0.
  double set_op_mix_ratio = 1;       ///< 1: union of both directions' neighbours; 0: intersection.
  uint64_t seed = 0;
  /// Where neighbours are found, if exactly; all else is computed on the CPU. The map is the same.
  std::optional<at::Device> device;
};

/// Uniform manifold approximation and projection (McInnes, Healy, Melville, 2018), as umap-learn
/// has it: a map of few dimensions in which neighbours stay neighbours.
class Umap {
 public:
  /// Makes the map of `points` (fp32, N×D). \throws Error (kData, kConfig), Cancelled.
  static Umap fit(const at::Tensor& points, const UmapOptions& options,
                  const Progress& progress = {});

  /// A map that was made earlier: `map` (fp32, N×n_components) is that of `points` (fp32, N×D).
  /// \throws Error (kData, kConfig).
  Umap(const UmapOptions& options, const at::Tensor& points, const at::Tensor& map);

  /// fp32, N×n_components.
  [[nodiscard]] const at::Tensor& map() const { return map_; }
  [[nodiscard]] const at::Tensor& points() const { return points_; }
  [[nodiscard]] const UmapOptions& options() const { return options_; }
  [[nodiscard]] UmapCurve curve() const { return curve_; }

  /// Places new points (fp32, M×D) in the map, near their neighbours, which stay where they are.
  /// \return fp32, M×n_components. \throws Error (kData), Cancelled.
  [[nodiscard]] at::Tensor transform(const at::Tensor& points, const Progress& progress = {}) const;

 private:
  UmapOptions options_;
  at::Tensor points_;
  at::Tensor map_;
  UmapCurve curve_;
};

}  // namespace flexae
