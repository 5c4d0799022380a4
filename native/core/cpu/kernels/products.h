#pragma once

#include <cstdint>

#include "core/cpu/kernels/bf16.h"

namespace flexae {

/// Sums of products, of values that are stored as T and multiplied and added up in fp32. All are
/// null where the processor does not multiply such values.
template <typename T>
struct ProductKernels {
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

  /// The same two for factors that are rows of a large matrix in memory, with `lanes` channels, or
  /// 2·lanes or a multiple: lines is 1. While they multiply, they fetch into the second-level cache
  /// what comes next, as many values of fp32 as the cells have, so that processor and memory do not
  /// wait for each other: `next` is one row behind the other, or `next_step` values apart. Anything
  /// may be there, or nothing.
  void (*convolve_fetching)(const T* const* cells, float* const* out, int64_t count, int64_t line,
                            const Item* packed, int64_t channels, const float* next);
  void (*add_weight_gradient_fetching)(const Item* const* cells, int64_t count, int64_t line,
                                       const Item* const* grid, int64_t channels, float* sums,
                                       bool fresh, const float* next, int64_t next_step);

  /// convolve_wide of one line, before the same channels of `rows` other rows are read, from
  /// next[·] on: they are fetched likewise.
  void (*convolve_before)(const T* const* cells, float* const* out, int64_t count, int64_t line,
                          const Item* packed, int64_t channels, const float* const* next,
                          int64_t rows);
};

}  // namespace flexae
