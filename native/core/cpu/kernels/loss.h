#pragma once

#include <cstdint>

namespace flexae {

/// The loss and what is told beside it.
struct LossKernels {
  /// Binary cross-entropy from logits z and targets t in [0, 1]: sums[0] += Σ loss, sums[1] +=
  /// pixels whose rounded output equals the target, sums[2] += Σ (p − t)². grad, if not null,
  /// becomes (p − t)·factor.
  void (*bce)(const float* z, const float* t, float* grad, int64_t n, float factor, double* sums);
};

}  // namespace flexae
