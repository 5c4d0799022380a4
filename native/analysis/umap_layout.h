#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "analysis/fuzzy_graph.h"
#include "analysis/progress.h"
#include "analysis/umap_curve.h"

namespace flexae {

/// The most dimensions a map may have.
constexpr int64_t kMostMapDimensions = 256;

/// How points move.
struct LayoutOptions {
  UmapCurve curve;           ///< How near in the map is a neighbour.
  int64_t epochs;            ///< Passes over the points.
  double learning_rate;      ///< At first; it falls to zero.
  double repulsion;          ///< Weight of what drives points apart.
  int64_t negative_samples;  ///< Points drawn for each neighbour drawn, that it is driven from.
  uint64_t seed;             ///< Chooses them.
};

/// Moves points until those with strong edges lie together, by stochastic gradient descent on the
/// cross entropy between the graph and its map. `map` (fp32, N×dims, contiguous) has where
/// they begin, and where they end. \throws Cancelled.
void optimize_layout(const at::Tensor& map, const FuzzyGraph& graph, const LayoutOptions& options,
                     const Progress& progress = {});

/// The same for new points among others that stay where they are: `map` is of the new ones,
/// `others` fp32, M×dims, contiguous, and the `graph` goes from new points to others.
void optimize_new_points(const at::Tensor& map, const at::Tensor& others, const FuzzyGraph& graph,
                         const LayoutOptions& options, const Progress& progress = {});

}  // namespace flexae
