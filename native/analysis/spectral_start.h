#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "analysis/fuzzy_graph.h"
#include "analysis/progress.h"

namespace flexae {

/// Eigenvectors of a graph's normalized matrix S = D^-½·W·D^-½, D having the sums of W's rows.
struct SpectralStart {
  at::Tensor vectors;          ///< fp32, N×dims, unit columns.
  std::vector<double> values;  ///< S's eigenvalues, descending; its Laplacian's are one less these.
};

/// Those of the greatest eigenvalues below the first, which is one and says nothing: neighbours of
/// the graph have similar values in them. A few digits, as a start for what goes on from there.
/// The graph is symmetric and connected, 1 ≤ dims ≤ N − 2.
SpectralStart spectral_start(const FuzzyGraph& graph, int64_t dims, const Progress& progress = {});

}  // namespace flexae
