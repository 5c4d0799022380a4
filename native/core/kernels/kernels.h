#pragma once

#include <cstdint>

#include "core/config.h"

namespace flexae {

/// The inner loops of training on a CPU, compiled once for each instruction set. All arrays are
/// fp32 and contiguous. "Periodic" arrays belong to the channels: element i of the data takes
/// element i mod period. Callers hand over whole periods but for a last partial one.
struct Kernels {
  const char* name;

  /// Values in one register.
  int64_t lanes;

  /// A convolution's output at `count` cells: out[i][c] = Σ_y Σ_t cells[i][y·line_stride + t] ·
  /// weight[c][y·line + t], for y < lines and t < line. `packed` holds the weight in panels of
  /// 2·lanes channels (the last one of `lanes`, if no more are left): each lines·line rows of as
  /// many values, zero where there is no channel.
  void (*convolve)(const float* const* cells, float* const* out, int64_t count, int64_t lines,
                   int64_t line, int64_t line_stride, const float* packed, int64_t channels);

  /// What `count` cells add to the gradient of a convolution's weight: sums[y·line + t][c] +=
  /// Σ_i cells[i][y·line_stride + t] · grid[i][c], for y < lines, t < line and c < channels, which
  /// is a multiple of `lanes`.
  void (*add_weight_gradient)(const float* const* cells, int64_t count, int64_t lines, int64_t line,
                              int64_t line_stride, const float* const* grid, int64_t channels,
                              float* sums);

  /// y = act(x·scale + shift). y may be x.
  void (*affine_activate)(const float* x, float* y, int64_t n, const float* scale,
                          const float* shift, int64_t period, Activation activation);

  /// Sums for a batch normalization's backward pass, added to s1 and s2 (`period` elements each):
  /// with z = x·scale + shift and dz = dy·act'(z), s1 += Σ dz and s2 += Σ dz·(x − center).
  void (*norm_backward_sums)(const float* x, const float* dy, int64_t n, const float* scale,
                             const float* shift, const float* center, int64_t period,
                             Activation activation, float* s1, float* s2);

  /// dx = k1·dz + k2·x + k3, with dz as above. dx may be dy.
  void (*norm_backward_apply)(const float* x, const float* dy, float* dx, int64_t n,
                              const float* scale, const float* shift, const float* k1,
                              const float* k2, const float* k3, int64_t period,
                              Activation activation);

  /// Σ (x − center) and Σ (x − center)², added to s1 and s2.
  void (*moments)(const float* x, int64_t n, const float* center, int64_t period, float* s1,
                  float* s2);

  /// out = (a0 + a1 + b0 + b1)·weight, for `width` output pixels of `channels`: a and b are two
  /// rows of 2·width pixels.
  void (*average_rows)(const float* a, const float* b, float* out, int64_t width, int64_t channels,
                       float weight);

  /// out[i] = a[i] + a[i + shift] + b[i] + b[i + shift]. out overlaps neither.
  void (*add_four)(const float* a, const float* b, float* out, int64_t n, int64_t shift);

  /// y[i] += x[i]
  void (*add)(float* y, const float* x, int64_t n);

  /// The bits of x as bf16, rounded to the nearest, ties to even.
  void (*to_bf16)(const float* x, uint16_t* y, int64_t n);

  /// Binary cross-entropy from logits z and targets t in [0, 1]: sums[0] += Σ loss, sums[1] +=
  /// pixels whose rounded output equals the target, sums[2] += Σ (p − t)². grad, if not null,
  /// becomes (p − t)·factor.
  void (*bce)(const float* z, const float* t, float* grad, int64_t n, float factor, double* sums);

  /// Bytes to floats in [0, 1], of a row of `width` pixels; `reverse` turns the row over.
  void (*scale_bytes)(const uint8_t* bytes, float* out, int64_t width, int64_t channels,
                      bool reverse);

  /// One step of an optimizer on n parameters p with gradients g; see optimizer.cpp for the
  /// formulas. All return whether g holds no infinity and no NaN.
  bool (*sgd)(float* p, const float* g, int64_t n, float lr);
  bool (*adadelta)(float* p, const float* g, float* a, float* d, int64_t n, float lr, float rho,
                   float epsilon);
  /// decay: what p is multiplied with first (AdamW; 1 otherwise).
  bool (*adam)(float* p, const float* g, float* m, float* v, int64_t n, float alpha, float beta1,
               float beta2, float epsilon, float decay);
  bool (*rmsprop)(float* p, const float* g, float* v, int64_t n, float lr, float rho,
                  float epsilon);
  bool (*adagrad)(float* p, const float* g, float* a, int64_t n, float lr, float epsilon);
  /// lr: already divided by 1 − β₁ᵗ.
  bool (*adamax)(float* p, const float* g, float* m, float* u, int64_t n, float lr, float beta1,
                 float beta2, float epsilon);
  /// p −= (m·cm + g·cg) / (√v·cv + ε)
  bool (*nadam)(float* p, const float* g, float* m, float* v, int64_t n, float cm, float cg,
                float cv, float beta1, float beta2, float epsilon);
};

/// The best set for this processor. FLEXAE_KERNELS=baseline|avx2|avx512 in the environment asks for
/// a lesser one.
const Kernels& kernels();

/// Each set, or null where it was not compiled or the processor lacks the instructions.
const Kernels* baseline_kernels();
const Kernels* avx2_kernels();
const Kernels* avx512_kernels();

}  // namespace flexae
