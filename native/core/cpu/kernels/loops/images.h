#pragma once

// Loops of ImageKernels.

#include <cstdint>

#ifdef __AVX2__
#include <immintrin.h>
#endif

#include "core/cpu/kernels/images.h"

namespace flexae {
namespace {

#ifdef __AVX512F__
/// For three registers of interleaved values: which value of its plane each is, and whose.
struct Interleaving {
  int32_t first[3][16] = {};   // of planes 0 and 1, which count as 32 values
  int32_t second[3][16] = {};  // of plane 2
  uint16_t from_second[3] = {};
};
constexpr Interleaving make_interleaving() {
  Interleaving table;
  for (int i = 0; i < 48; ++i) {
    const int plane = i % 3;
    const int value = i / 3;
    table.first[i / 16][i % 16] = plane == 1 ? 16 + value : value;
    table.second[i / 16][i % 16] = value;
    if (plane == 2) {
      table.from_second[i / 16] = static_cast<uint16_t>(table.from_second[i / 16] | 1 << i % 16);
    }
  }
  return table;
}
#endif

void interleave(const float* planes, int64_t plane, int64_t pixels, float* out) {
  int64_t p = 0;
#ifdef __AVX512F__
  static constexpr Interleaving table = make_interleaving();
  for (; p + 16 <= pixels; p += 16) {
    const __m512 a = _mm512_loadu_ps(planes + p);
    const __m512 b = _mm512_loadu_ps(planes + plane + p);
    const __m512 c = _mm512_loadu_ps(planes + 2 * plane + p);
#pragma GCC unroll 3
    for (int i = 0; i < 3; ++i) {
      const __m512 two = _mm512_permutex2var_ps(a, _mm512_loadu_si512(table.first[i]), b);
      const __m512 all = _mm512_mask_permutexvar_ps(two, table.from_second[i],
                                                    _mm512_loadu_si512(table.second[i]), c);
      _mm512_storeu_ps(out + 3 * p + 16 * i, all);
    }
  }
#endif
  for (; p < pixels; ++p) {
    for (int64_t c = 0; c < 3; ++c) out[3 * p + c] = planes[c * plane + p];
  }
}

template <int kChannels>
void reverse_pixels(const uint8_t* row, uint8_t* out, int64_t width) {
#pragma GCC ivdep
  for (int64_t x = 0; x < width; ++x) {
#pragma GCC unroll 3
    for (int c = 0; c < kChannels; ++c)
      out[x * kChannels + c] = row[(width - 1 - x) * kChannels + c];
  }
}
void reverse_pixels(const uint8_t* row, uint8_t* out, int64_t width, int64_t channels) {
  if (channels == 1) {
    reverse_pixels<1>(row, out, width);
  } else {
    reverse_pixels<3>(row, out, width);
  }
}

void scale_bytes(const uint8_t* bytes, float* out, int64_t n) {
#ifdef __FMA__
  // The quotient, correctly rounded for all bytes, without a division.
  constexpr float kHigh = 1.0F / 255.0F;
  constexpr float kLow = static_cast<float>(1.0 / 255.0 - static_cast<double>(kHigh));
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const auto value = static_cast<float>(bytes[i]);
    out[i] = __builtin_fmaf(value, kHigh, value * kLow);
  }
#else
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) out[i] = static_cast<float>(bytes[i]) / 255.0F;
#endif
}

constexpr ImageKernels make_image_kernels() {
  return {
      .interleave = interleave,
      .reverse_pixels = reverse_pixels,
      .scale_bytes = scale_bytes,
  };
}

}  // namespace
}  // namespace flexae
