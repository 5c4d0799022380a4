#pragma once

// Loops of ElementwiseKernels, SumKernels and PairKernels.

#include <cstdint>

#ifdef __AVX2__
#include <immintrin.h>
#endif

#include "core/cpu/kernels/elementwise.h"
#include "core/cpu/kernels/loops/simd.h"

namespace flexae {
namespace {

template <typename T, typename In>
void add_four(const In* a, const In* b, T* out, int64_t n, int64_t shift) {
  for_each_register(n, [&]<typename F>(F, int64_t i) {
    put(out + i, get<F>(a + i) + get<F>(a + i + shift) + get<F>(b + i) + get<F>(b + i + shift));
  });
}

template <typename T>
void store(const float* x, T* y, int64_t n) {
  for_each_register(n, [&]<typename F>(F, int64_t i) { put(y + i, get<F>(x + i)); });
}

void add(float* y, const float* x, int64_t n) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) y[i] += x[i];
}

void add_scaled(float* y, const float* x, float factor, int64_t n) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) y[i] += factor * x[i];
}

void add_up(const float* from, int64_t parts, int64_t part_step, int64_t rows, int64_t stride,
            int64_t n, float* to) {
  for (int64_t row = 0; row < rows; ++row, from += stride, to += n) {
    for_each_register(n, [&](auto zero, int64_t i) {
      using F = decltype(zero);
      F sum = get<F>(from + i);
      for (int64_t p = 1; p < parts; ++p) sum += get<F>(from + p * part_step + i);
      put(to + i, sum);
    });
  }
}

void pair_up(const Bf16* a, const Bf16* b, Bf16Pair* out, int64_t count, int64_t step, int64_t n) {
  for (int64_t t = 0; t < count; ++t, a += step, b += step, out += n) {
    int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
      // As fp32, a bf16 is in the upper half.
      const IntLanes low = to_bits(get<Lanes>(a + i));
      const IntLanes high = to_bits(get<Lanes>(b + i));
      const IntLanes pairs = (IntLanes)((UnsignedLanes)low >> 16) | high;
      __builtin_memcpy(out + i, &pairs, sizeof pairs);
    }
    for (; i < n; ++i) {
      out[i] =
          static_cast<Bf16Pair>(static_cast<uint32_t>(a[i]) | static_cast<uint32_t>(b[i]) << 16);
    }
  }
}

void pair_up_wide(const float* a, const float* b, Bf16Pair* out, int64_t n) {
  int64_t i = 0;
#ifdef __AVX512BF16__
  // Both registers are narrowed into one, b's values behind a's, and then take turns.
  static constexpr struct {
    uint16_t places[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                           8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  } table;
  const __m512i places = _mm512_loadu_si512(table.places);
  for (; i + kLanes <= n; i += kLanes) {
    const auto both = (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(b + i), _mm512_loadu_ps(a + i));
    _mm512_storeu_si512(out + i, _mm512_permutexvar_epi16(places, both));
  }
#endif
  for (; i < n; ++i) {
    Bf16 pair[2];
    put(&pair[0], a[i]);
    put(&pair[1], b[i]);
    __builtin_memcpy(out + i, pair, sizeof pair);
  }
}

template <typename T>
constexpr ElementwiseKernels<T> make_elementwise_kernels() {
  return {
      .store = store<T>,
      .add_four = add_four<T, T>,
      .add_four_of_wide = add_four<T, float>,
  };
}

constexpr SumKernels make_sum_kernels() {
  return {
      .add = add,
      .add_scaled = add_scaled,
      .add_up = add_up,
  };
}

constexpr PairKernels make_pair_kernels() {
  return {.pair_up = pair_up, .pair_up_wide = pair_up_wide};
}

}  // namespace
}  // namespace flexae
