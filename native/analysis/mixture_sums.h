#pragma once

#include <ATen/ATen.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "analysis/mixture.h"

namespace flexae {

/// What a step needs to know of the points, by components: Σ r, Σ r·δ and Σ r·δ·δᵀ, δ being a
/// point's difference to the component's mean so far, and r its responsibility.
struct MixtureSums {
  std::vector<double> counts;
  std::vector<double> first;
  at::Tensor second;  ///< k×D×D for full, k×D for diagonal; undefined for tied
  double log_likelihood = 0;

  MixtureSums(int64_t k, int64_t width, Covariance kind)
      : counts(static_cast<size_t>(k)), first(static_cast<size_t>(k * width)) {
    if (kind == Covariance::kFull) second = at::zeros({k, width, width}, at::kDouble);
    if (kind == Covariance::kDiagonal) second = at::zeros({k, width}, at::kDouble);
  }

  void add(const MixtureSums& other) {
    for (size_t c = 0; c < counts.size(); ++c) counts[c] += other.counts[c];
    for (size_t i = 0; i < first.size(); ++i) first[i] += other.first[i];
    if (second.defined()) second.add_(other.second);
    log_likelihood += other.log_likelihood;
  }
};

}  // namespace flexae
