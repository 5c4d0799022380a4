#pragma once

#include <cstdint>

#include "core/spec/model_config.h"

namespace flexae {

/// The bits of a bf16, which are the upper half of an fp32's.
enum class Bf16 : uint16_t {};
/// Two of them, the first in the lower half: the processor multiplies and adds up pairs.
enum class Bf16Pair : uint32_t {};

inline float widened(float value) {
  return value;
}
inline float widened(Bf16 value) {
  const uint32_t bits = static_cast<uint32_t>(value) << 16;
  float wide;
  __builtin_memcpy(&wide, &bits, sizeof wide);
  return wide;
}

/// What a product of values stored as T takes in one step.
template <typename T>
struct Factor;
template <>
struct Factor<float> {
  using Item = float;
  static constexpr int64_t kValues = 1;
};
template <>
struct Factor<Bf16> {
  using Item = Bf16Pair;
  static constexpr int64_t kValues = 2;
};

/// Loops over values that are stored as T, fp32 or bf16, and computed with in fp32. Narrowing
/// rounds to the nearest, ties to even. Where a function
/// says "wide" the result, or what it is "of", is fp32 in memory.
template <typename T>
struct ValueKernels {
  using Item = typename Factor<T>::Item;

  /// A convolution's output at `count` cells: out[i][c] = Σ_y Σ_t cells[i][y·line_stride + t] ·
  /// weight[c][y·line + t], for y < lines and t < line. `packed` holds the weight in panels of
  /// 2·lanes channels (the last one of `lanes`, if no more are left): each lines·⌈line/kValues⌉
  /// rows of as many items, zero where there is no channel and behind the end of a line. Of bf16,
  /// a line of an odd length is read one value beyond its end, and that must not be infinite or
  /// NaN. Null where the processor does not multiply such values.
  void (*convolve)(const T* const* cells, T* const* out, int64_t count, int64_t lines, int64_t line,
                   int64_t line_stride, const Item* packed, int64_t channels);
  void (*convolve_wide)(const T* const* cells, float* const* out, int64_t count, int64_t lines,
                        int64_t line, int64_t line_stride, const Item* packed, int64_t channels);

  /// A convolution with one channel: out[i·out_step] = Σ_y Σ_t first[i·step + y·line_stride + t] ·
  /// weight[y·width + t], for i < count, y < lines and t < width, a multiple of kValues·lanes. Up
  /// to 15 more places are read, without using them. Null as above.
  void (*dots)(const T* first, int64_t step, int64_t count, int64_t lines, int64_t width,
               int64_t line_stride, const T* weight, float* out, int64_t out_step);

  /// What `count` cells, or pairs of cells, add to the gradient of a convolution's weight:
  /// sums[y·line + t][c] += Σ_i cells[i][y·line_stride + t] · grid[i][c], for y < lines, t < line
  /// and c < channels, which is a multiple of `lanes`; = instead of += if sums are `fresh`. Null as
  /// above.
  void (*add_weight_gradient)(const Item* const* cells, int64_t count, int64_t lines, int64_t line,
                              int64_t line_stride, const Item* const* grid, int64_t channels,
                              float* sums, bool fresh);

  /// The same two for factors that are rows of a large matrix in memory, with 2·lanes channels or a
  /// multiple: lines is 1. While they multiply, they fetch into the second-level cache what comes
  /// next, as many values of fp32 as the cells have, so that processor and memory do not wait for
  /// each other: `next` is one row behind the other, or `next_step` values apart. Anything may be
  /// there, or nothing.
  void (*convolve_fetching)(const T* const* cells, float* const* out, int64_t count, int64_t line,
                            const Item* packed, int64_t channels, const float* next);
  void (*add_weight_gradient_fetching)(const Item* const* cells, int64_t count, int64_t line,
                                       const Item* const* grid, int64_t channels, float* sums,
                                       bool fresh, const float* next, int64_t next_step);

  /// y = act(x·scale + shift). y may be x.
  void (*affine_activate)(const T* x, T* y, int64_t n, const float* scale, const float* shift,
                          int64_t period, Activation activation);
  void (*affine_activate_wide)(const T* x, float* y, int64_t n, const float* scale,
                               const float* shift, int64_t period, Activation activation);

  /// Sums for a batch normalization's backward pass, added to s1 and s2 (`period` elements each):
  /// with z = x·scale + shift and dz = dy·act'(z), s1 += Σ dz and s2 += Σ dz·(x − center).
  void (*norm_backward_sums)(const T* x, const T* dy, int64_t n, const float* scale,
                             const float* shift, const float* center, int64_t period,
                             Activation activation, float* s1, float* s2);

  /// dx = k1·dz + k2·x + k3, with dz as above. dx may be dy.
  void (*norm_backward_apply)(const T* x, const T* dy, T* dx, int64_t n, const float* scale,
                              const float* shift, const float* k1, const float* k2, const float* k3,
                              int64_t period, Activation activation);

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
                                  const float* shift, const float* k1, const float* k2,
                                  const float* k3, Activation activation);

  /// Σ (x − center) and Σ (x − center)², added to s1 and s2.
  void (*moments)(const T* x, int64_t n, const float* center, int64_t period, float* s1, float* s2);

  /// out[i] = a[i] + a[i + shift] + b[i] + b[i + shift]. out overlaps neither.
  void (*add_four)(const T* a, const T* b, T* out, int64_t n, int64_t shift);
  void (*add_four_of_wide)(const float* a, const float* b, T* out, int64_t n, int64_t shift);

  /// The gradient of a mean over 2×2 pixels, `width` of them, spread over the rows a and b.
  void (*spread_rows)(const T* grad, T* a, T* b, int64_t width, int64_t channels);

  /// y = x
  void (*store)(const float* x, T* y, int64_t n);

  /// Combinations of pixels (see winograd_2d.h): out[i] = a[i] + sign·b[i] for i < n; for `count`
  /// tiles, t·step behind a and b, and t·out_step behind out.
  void (*combine_wide)(const T* a, const T* b, float sign, float* out, int64_t count, int64_t step,
                       int64_t out_step, int64_t n);
  void (*combine)(const float* a, const float* b, float sign, T* out, int64_t count, int64_t step,
                  int64_t out_step, int64_t n);

  /// The four cells of a tile, row by row, of n channels each, from its 16 sums, which are `apart`
  /// values apart: with sums s in one direction the cells are s₀ + s₁ + s₂ and s₁ − s₂ − s₃. A null
  /// cell is left out.
  void (*sums_to_cells)(const float* sums, int64_t apart, T* const* cells, int64_t n);
  void (*sums_to_cells_wide)(const float* sums, int64_t apart, float* const* cells, int64_t n);
  /// The transposed: in one direction y₀, y₀ + y₁, y₀ − y₁ and −y₁.
  void (*cells_to_sums)(const T* const* cells, T* sums, int64_t apart, int64_t n);
};

/// The inner loops of training on a CPU, compiled once for each instruction set. All arrays are
/// contiguous. "Periodic" arrays belong to the channels: element i of the data takes element
/// i mod period. Callers hand over whole periods but for a last partial one.
struct Kernels {
  const char* name;

  /// fp32 values in one register.
  int64_t lanes;

  ValueKernels<float> fp32;
  ValueKernels<Bf16> bf16;

  /// Three combinations of a line (see winograd_1d.h): with a = x[i], b = x[i + stride] and c =
  /// x[i + 2·stride], first[i] = a − (has_three[i] ? c : b), second[i] = a + (has_three[i] ? b : 0)
  /// and third[i] = b − a, for i < n.
  void (*combine_line)(const float* x, int64_t stride, const float* has_three, int64_t n,
                       float* first, float* second, float* third);

  /// Two cells of each of `count` tiles from such lines: sums s_m = Σ_y Σ_t tiles[i][y·line_stride
  /// + offsets[m] + t] · weight[c][y][m][t] for m < 4, y < lines and t < widths[m] make s₀ + s₁ +
  /// s₂ of out[2i][c] and s₁ − s₂ + s₃ of out[2i + 1][c], or nothing where that is null. `packed`
  /// holds the weight as for convolve(). Null where there are not enough registers.
  void (*convolve_lines)(const float* const* tiles, float* const* out, int64_t count, int64_t lines,
                         int64_t line_stride, const int64_t* offsets, const int64_t* widths,
                         const float* packed, int64_t channels);

  /// out[i] = (a[i], b[i]) for i < n; for `count` rows, t·step behind a and b, and t·n behind out.
  void (*pair_up)(const Bf16* a, const Bf16* b, Bf16Pair* out, int64_t count, int64_t step,
                  int64_t n);
  void (*pair_up_wide)(const float* a, const float* b, Bf16Pair* out, int64_t n);

  /// out = (a0 + a1 + b0 + b1)·weight, for `width` output pixels of `channels`: a and b are two
  /// rows of 2·width pixels.
  void (*average_rows)(const float* a, const float* b, float* out, int64_t width, int64_t channels,
                       float weight);

  /// y[i] += x[i]
  void (*add)(float* y, const float* x, int64_t n);

  /// y[i] += factor·x[i]
  void (*add_scaled)(float* y, const float* x, float factor, int64_t n);

  /// to[i·n + j] = Σ_p from[p·part_step + i·stride + j], for p < parts, i < rows and j < n.
  void (*add_up)(const float* from, int64_t parts, int64_t part_step, int64_t rows, int64_t stride,
                 int64_t n, float* to);

  /// The transposed of combine(): a[i] += x[i] and, unless sign is 0, b[i] += sign·x[i] for i < n;
  /// for `count` tiles, t·x_step behind x and t·step behind a and b, one after the other.
  void (*add_apart)(const float* x, float* a, float* b, float sign, int64_t count, int64_t x_step,
                    int64_t step, int64_t n);

  /// Binary cross-entropy from logits z and targets t in [0, 1]: sums[0] += Σ loss, sums[1] +=
  /// pixels whose rounded output equals the target, sums[2] += Σ (p − t)². grad, if not null,
  /// becomes (p − t)·factor.
  void (*bce)(const float* z, const float* t, float* grad, int64_t n, float factor, double* sums);

  /// `pixels` values of each of three planes, which are `plane` values apart, to pixels of three
  /// values.
  void (*interleave)(const float* planes, int64_t plane, int64_t pixels, float* out);

  /// A row of `width` pixels of 1 or 3 bytes from right to left.
  void (*reverse_pixels)(const uint8_t* row, uint8_t* out, int64_t width, int64_t channels);

  /// Bytes to floats in [0, 1].
  void (*scale_bytes)(const uint8_t* bytes, float* out, int64_t n);

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
template <typename T>
const ValueKernels<T>& kernels_of();
template <>
inline const ValueKernels<float>& kernels_of() {
  return kernels().fp32;
}
template <>
inline const ValueKernels<Bf16>& kernels_of() {
  return kernels().bf16;
}

/// Each set, or null where it was not compiled or the processor lacks the instructions.
const Kernels* baseline_kernels();
const Kernels* avx2_kernels();
const Kernels* avx512_kernels();
const Kernels* avx512bf16_kernels();

}  // namespace flexae
