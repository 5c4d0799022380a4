#pragma once

// Loops of LossKernels.

#include <cstdint>

#include "core/cpu/kernels/loops/math.h"
#include "core/cpu/kernels/loss.h"

namespace flexae {
namespace {

void bce(const float* z, const float* t, float* grad, int64_t n, float factor, double* sums) {
  // Short runs in fp32, their sums in fp64.
  constexpr int64_t kRun = 2048;
  float scratch[kRun];
  for (int64_t begin = 0; begin < n; begin += kRun) {
    const int64_t count = n - begin < kRun ? n - begin : kRun;
    const float* zr = z + begin;
    const float* tr = t + begin;
    float* gr = grad != nullptr ? grad + begin : scratch;
    float loss = 0;
    float right = 0;
    float square = 0;
#pragma omp simd reduction(+ : loss, right, square)
    for (int64_t i = 0; i < count; ++i) {
      const float a = __builtin_fabsf(zr[i]);
      const float e = fast_exp(-a);
      const float inverse = 1.0F / (1.0F + e);
      const float p = zr[i] < 0 ? e * inverse : inverse;
      const float d = p - tr[i];
      loss += (zr[i] > 0 ? zr[i] : 0.0F) - zr[i] * tr[i] + fast_log1p(e);
      right += (p > 0.5F ? 1.0F : 0.0F) == tr[i] ? 1.0F : 0.0F;
      square += d * d;
      gr[i] = d * factor;
    }
    sums[0] += static_cast<double>(loss);
    sums[1] += static_cast<double>(right);
    sums[2] += static_cast<double>(square);
  }
}

constexpr LossKernels make_loss_kernels() {
  return {.bce = bce};
}

}  // namespace
}  // namespace flexae
