#pragma once

#include <cstdint>

#include "core/cpu/kernels/bf16.h"

namespace flexae {

/// Combinations of Winograd's minimal filtering in two directions (see winograd_2d.h).
template <typename T>
struct Winograd2dKernels {
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
  /// The transposed: in one direction y₀, y₀ + y₁, y₀ − y₁ and −y₁.
  void (*cells_to_sums)(const T* const* cells, T* sums, int64_t apart, int64_t n);

  /// The transposed of combine(): a[i] += x[i] and, unless sign is 0, b[i] += sign·x[i] for i < n;
  /// for `count` tiles, t·x_step behind x and t·step behind a and b, one after the other.
  void (*add_apart)(const float* x, float* a, float* b, float sign, int64_t count, int64_t x_step,
                    int64_t step, int64_t n);
};

/// And along lines (see winograd_1d.h).
struct Winograd1dKernels {
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
};

}  // namespace flexae
