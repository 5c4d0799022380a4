#include "analysis/umap.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "analysis/fuzzy_graph.h"
#include "analysis/neighbour_search.h"
#include "analysis/neighbours.h"
#include "analysis/point_checks.h"
#include "analysis/umap_layout.h"
#include "analysis/umap_start.h"
#include "core/base/error.h"

namespace flexae {
namespace {

/// umap-learn's: for sets up to here more epochs.
constexpr int64_t kSmallSet = 10000;
void require(bool condition, const std::string& message) {
  if (!condition) throw Error(ErrorCode::kConfig, message);
}

void check_umap_options(const UmapOptions& options, int64_t points) {
  require(options.n_neighbors >= 2 && options.n_neighbors < points,
          "n_neighbors must be from 2 to " + std::to_string(points - 1) + " for " +
              std::to_string(points) + " points, not " + std::to_string(options.n_neighbors) +
              ": ask for fewer, or give more points");
  require(options.n_components >= 1 && options.n_components <= kMostMapDimensions,
          "n_components must be from 1 to " + std::to_string(kMostMapDimensions) + ", not " +
              std::to_string(options.n_components));
  require(std::isfinite(options.spread) && options.spread > 0, "spread must be above 0");
  require(options.min_dist >= 0 && options.min_dist <= options.spread,
          "min_dist must be from 0 to spread");
  require(options.n_epochs >= 0 && options.n_epochs <= 1000000,
          "n_epochs must be from 1 to 1000000, or 0 for a usual number, not " +
              std::to_string(options.n_epochs));
  require(std::isfinite(options.learning_rate) && options.learning_rate > 0,
          "learning_rate must be above 0");
  require(std::isfinite(options.repulsion_strength) && options.repulsion_strength >= 0,
          "repulsion_strength must be at least 0");
  require(options.negative_sample_rate >= 0 && options.negative_sample_rate <= 1000,
          "negative_sample_rate must be from 0 to 1000");
  require(options.set_op_mix_ratio >= 0 && options.set_op_mix_ratio <= 1,
          "set_op_mix_ratio must be from 0 to 1");
}

LayoutOptions layout_options(const UmapOptions& options, UmapCurve curve, int64_t epochs) {
  return {.curve = curve,
          .epochs = epochs,
          .learning_rate = options.learning_rate,
          .repulsion = options.repulsion_strength,
          .negative_samples = options.negative_sample_rate,
          .seed = options.seed};
}

/// The mean of each new point's neighbours in the map, weighted by strength; a neighbour's place if
/// that has full strength.
at::Tensor start_of_new(const FuzzyGraph& graph, const at::Tensor& map) {
  const int64_t dims = map.size(1);
  at::Tensor start = at::zeros({graph.points(), dims}, at::kFloat);
  auto* to = start.mutable_data_ptr<float>();
  const auto* places = map.const_data_ptr<float>();
  for (int64_t i = 0; i < graph.points(); ++i, to += dims) {
    const auto begin = static_cast<size_t>(graph.begins[static_cast<size_t>(i)]);
    const auto end = static_cast<size_t>(graph.begins[static_cast<size_t>(i) + 1]);
    float sum = 0;
    for (size_t edge = begin; edge < end; ++edge) sum += graph.strengths[edge];
    for (size_t edge = begin; edge < end; ++edge) {
      const float* place = places + graph.neighbours[edge] * dims;
      if (graph.strengths[edge] == 1) {
        std::copy_n(place, dims, to);
        break;
      }
      for (int64_t d = 0; d < dims; ++d) to[d] += graph.strengths[edge] / sum * place[d];
    }
  }
  return start;
}

}  // namespace

Umap::Umap(const UmapOptions& options, const at::Tensor& points, const at::Tensor& map)
    : options_(options),
      points_(checked_points(points, "the points")),
      map_(checked_points(map, "the points' places in the map")),
      curve_() {
  check_umap_options(options, points_.size(0));
  if (map_.size(0) != points_.size(0) || map_.size(1) != options.n_components) {
    throw Error(ErrorCode::kData,
                "a map of " + std::to_string(points_.size(0)) + " points must be " +
                    std::to_string(points_.size(0)) + "×" + std::to_string(options.n_components) +
                    ", but is " + std::to_string(map_.size(0)) + "×" +
                    std::to_string(map_.size(1)) + ": give the map of these points");
  }
  curve_ = fit_umap_curve(options.min_dist, options.spread);
}

Umap Umap::fit(const at::Tensor& points, const UmapOptions& options, const Progress& progress) {
  const at::Tensor rows = checked_points(points, "the points");
  check_umap_options(options, rows.size(0));
  const int64_t usual = rows.size(0) <= kSmallSet ? 500 : 200;
  const int64_t epochs = options.n_epochs > 0 ? options.n_epochs : usual;
  // n_neighbors counts the point itself.
  FuzzyGraph graph =
      fuzzy_graph(find_neighbours(rows, options.n_neighbors - 1, options.metric, options.search,
                                  options.seed, part_of(progress, 0, 0.4), options.device),
                  options.set_op_mix_ratio);
  drop_weak(graph, epochs > 10 ? epochs : usual);
  const at::Tensor map = umap_start(rows, graph, options, part_of(progress, 0.4, 0.5));
  const UmapCurve curve = fit_umap_curve(options.min_dist, options.spread);
  optimize_layout(map, graph, layout_options(options, curve, epochs), part_of(progress, 0.5, 1));
  return {options, rows, map};
}

at::Tensor Umap::transform(const at::Tensor& points, const Progress& progress) const {
  const at::Tensor rows = checked_points(points, "the new points");
  check_same_width(points_, rows, "the new points");
  FuzzyGraph graph =
      fuzzy_graph_of_new(nearest_neighbours_of(rows, points_, options_.n_neighbors, options_.metric,
                                               part_of(progress, 0, 0.5), options_.device));
  const at::Tensor map = start_of_new(graph, map_);
  int64_t epochs = rows.size(0) <= kSmallSet ? 100 : 30;
  if (options_.n_epochs > 0) epochs = std::max<int64_t>(1, options_.n_epochs / 3);
  drop_weak(graph, epochs);
  LayoutOptions layout = layout_options(options_, curve_, epochs);
  // As in umap-learn: they begin near their places.
  layout.learning_rate /= 4;
  optimize_new_points(map, map_, graph, layout, part_of(progress, 0.5, 1));
  return map;
}

}  // namespace flexae
