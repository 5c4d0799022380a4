#pragma once

#include <cstdint>

#include "core/cpu/kernels/bf16.h"

namespace flexae {

/// Values that are stored as T: narrowed, added.
template <typename T>
struct ElementwiseKernels {
  /// y = x
  void (*store)(const float* x, T* y, int64_t n);

  /// out[i] = a[i] + a[i + shift] + b[i] + b[i + shift]. out overlaps neither.
  void (*add_four)(const T* a, const T* b, T* out, int64_t n, int64_t shift);
  void (*add_four_of_wide)(const float* a, const float* b, T* out, int64_t n, int64_t shift);
};

/// Sums of fp32.
struct SumKernels {
  /// y[i] += x[i]
  void (*add)(float* y, const float* x, int64_t n);

  /// y[i] += factor·x[i]
  void (*add_scaled)(float* y, const float* x, float factor, int64_t n);

  /// to[i·n + j] = Σ_p from[p·part_step + i·stride + j], for p < parts, i < rows and j < n.
  void (*add_up)(const float* from, int64_t parts, int64_t part_step, int64_t rows, int64_t stride,
                 int64_t n, float* to);
};

/// Pairs of bf16, as products take them.
struct PairKernels {
  /// out[i] = (a[i], b[i]) for i < n; for `count` rows, t·step behind a and b, and t·n behind out.
  void (*pair_up)(const Bf16* a, const Bf16* b, Bf16Pair* out, int64_t count, int64_t step,
                  int64_t n);
  void (*pair_up_wide)(const float* a, const float* b, Bf16Pair* out, int64_t n);
};

}  // namespace flexae
