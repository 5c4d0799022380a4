#pragma once

// The product Winograd1dKernels::convolve_lines.

#include <cstdint>

#include "core/cpu/kernels/loops/multiply.h"
#include "core/cpu/kernels/loops/simd.h"
#include "core/cpu/kernels/winograd.h"

namespace flexae {
namespace {

#ifdef __AVX512F__
/// 6/kVectors tiles by kVectors·kLanes channels; the first `count` tiles and `channels` channels of
/// the result are stored, from out[·][first] on. kWidth and kThird are the widths where they are
/// known beforehand: of 5×5 windows of one channel or three at a stride of 2. Short loops cost
/// much.
template <int kVectors, int kWidth, int kThird>
inline void lines_tile(const float* const* tiles, int64_t count, int64_t lines, int64_t line_stride,
                       const int64_t* offsets, const int64_t* widths, const float* packed,
                       int64_t channels, float* const* out, int64_t first) {
  using M = Multiplies<float>;
  constexpr int kTiles = 6 / kVectors;
  constexpr int kWidths[4] = {kWidth, kWidth, kThird, kWidth};
  Lanes sums[4][kTiles][kVectors];
  const float* at[kTiles];
#pragma GCC unroll 6
  for (int r = 0; r < kTiles; ++r) {
    at[r] = tiles[r < count ? r : 0];
#pragma GCC unroll 4
    for (int m = 0; m < 4; ++m) {
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) sums[m][r][v] = Lanes{};
    }
  }
  for (int64_t y = 0; y < lines; ++y) {
#pragma GCC unroll 4
    for (int m = 0; m < 4; ++m) {
      const int64_t width = kWidth == 0 ? widths[m] : kWidths[m];
      const int64_t offset = offsets[m];
#pragma GCC unroll 6
      for (int64_t t = 0; t < width; ++t, packed += kVectors * kLanes) {
        Lanes weights[kVectors];
#pragma GCC unroll 2
        for (int v = 0; v < kVectors; ++v) {
          weights[v] = M::load(packed + v * kLanes);
          // The compiler would load it again for each tile.
          asm("" : "+v"(weights[v]));
        }
#pragma GCC unroll 6
        for (int r = 0; r < kTiles; ++r) {
          const Lanes value = M::broadcast(at[r] + offset + t);
#pragma GCC unroll 2
          for (int v = 0; v < kVectors; ++v)
            sums[m][r][v] = M::add(sums[m][r][v], value, weights[v]);
        }
      }
    }
#pragma GCC unroll 6
    for (int r = 0; r < kTiles; ++r) at[r] += line_stride;
  }
  const bool whole = channels == kVectors * kLanes;
#pragma GCC unroll 6
  for (int r = 0; r < kTiles; ++r) {
    if (r >= count) return;
#pragma GCC unroll 2
    for (int cell = 0; cell < 2; ++cell) {
      float* const result = out[2 * r + cell];
      if (result == nullptr) continue;
      float part[kVectors * kLanes];
      float* to = whole ? result + first : part;
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) {
        const Lanes both =
            cell == 0 ? sums[1][r][v] + sums[2][r][v] : sums[1][r][v] - sums[2][r][v];
        store_lanes(to + v * kLanes, both + sums[cell == 0 ? 0 : 3][r][v]);
      }
      if (whole) continue;
      for (int64_t c = 0; c < channels; ++c) result[first + c] = part[c];
    }
  }
}

template <int kWidth, int kThird>
void convolve_lines(const float* const* tiles, float* const* out, int64_t count, int64_t lines,
                    int64_t line_stride, const int64_t* offsets, const int64_t* widths,
                    const float* packed, int64_t channels) {
  const int64_t size = lines * (widths[0] + widths[1] + widths[2] + widths[3]);
  for_each_panel(
      packed, size, channels, [&](const float* panel, int64_t vectors, int64_t c, int64_t width) {
        const int64_t step = 6 / vectors;
        for (int64_t i = 0; i < count; i += step) {
          const int64_t now = count - i < step ? count - i : step;
          const auto tile =
              vectors == 2 ? lines_tile<2, kWidth, kThird> : lines_tile<1, kWidth, kThird>;
          tile(tiles + i, now, lines, line_stride, offsets, widths, panel, width, out + 2 * i, c);
        }
      });
}

void convolve_lines(const float* const* tiles, float* const* out, int64_t count, int64_t lines,
                    int64_t line_stride, const int64_t* offsets, const int64_t* widths,
                    const float* packed, int64_t channels) {
  const auto convolve = widths[0] == 6 && widths[2] == 3   ? convolve_lines<6, 3>
                        : widths[0] == 2 && widths[2] == 1 ? convolve_lines<2, 1>
                                                           : convolve_lines<0, 0>;
  convolve(tiles, out, count, lines, line_stride, offsets, widths, packed, channels);
}
#endif

}  // namespace
}  // namespace flexae
