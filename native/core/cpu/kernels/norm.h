#pragma once

#include <cstdint>

#include "core/cpu/kernels/bf16.h"
#include "core/spec/model_config.h"

namespace flexae {

/// Normalization with activation, and what its backward pass takes. "Periodic" arrays belong to the
/// channels: element i of the data takes element i mod period. Callers hand over whole periods but
/// for a last partial one.
template <typename T>
struct NormKernels {
  /// y = act(x·scale + shift). y may be x.
  void (*affine_activate)(const T* x, T* y, int64_t n, const float* scale, const float* shift,
                          int64_t period, Activation activation);
  void (*affine_activate_wide)(const T* x, float* y, int64_t n, const float* scale,
                               const float* shift, int64_t period, Activation activation);

  /// Sums for a batch normalization's backward pass, added to s1 and s2 (`period` elements each):
  /// with z = x·scale + shift and dz = dy·act'(z), s1 += Σ dz and s2 += Σ dz·(x − center).
  void (*backward_sums)(const T* x, const T* dy, int64_t n, const float* scale, const float* shift,
                        const float* center, int64_t period, Activation activation, float* s1,
                        float* s2);

  /// dx = dx_scale·dz + dx_slope·x + dx_offset, with dz as above. dx may be dy.
  void (*backward_apply)(const T* x, const T* dy, T* dx, int64_t n, const float* scale,
                         const float* shift, const float* dx_scale, const float* dx_slope,
                         const float* dx_offset, int64_t period, Activation activation);

  /// The same three under a mean over 2×2 pixels: a and b are two rows of 2·width pixels of
  /// `channels`, a whole number of registers, which come from the beginning of the periodic arrays.
  /// out and grad are `width` pixels of the mean and of its gradient.
  void (*average_activated)(const T* a, const T* b, T* out, int64_t width, int64_t channels,
                            const float* scale, const float* shift, Activation activation);
  void (*averaged_backward_sums)(const T* a, const T* b, const T* grad, int64_t width,
                                 int64_t channels, const float* scale, const float* shift,
                                 const float* center, Activation activation, float* s1, float* s2);
  void (*averaged_backward_apply)(const T* a, const T* b, const T* grad, T* da, T* db,
                                  int64_t width, int64_t channels, const float* scale,
                                  const float* shift, const float* dx_scale, const float* dx_slope,
                                  const float* dx_offset, Activation activation);

  /// Σ (x − center) and Σ (x − center)², added to s1 and s2.
  void (*moments)(const T* x, int64_t n, const float* center, int64_t period, float* s1, float* s2);
};

}  // namespace flexae
