#pragma once

#include <ATen/core/Tensor.h>

#include "analysis/fuzzy_graph.h"
#include "analysis/progress.h"
#include "analysis/umap.h"

namespace flexae {

/// Where the points of a map begin, each dimension from 0 to 10. \return fp32, N×n_components.
at::Tensor umap_start(const at::Tensor& points, const FuzzyGraph& graph, const UmapOptions& options,
                      const Progress& progress = {});

}  // namespace flexae
