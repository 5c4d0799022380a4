#pragma once

// What all products are made of: how values are multiplied, and the panels of a packed weight.

#include <cstdint>

#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

#include "core/cpu/kernels/bf16.h"
#include "core/cpu/kernels/loops/simd.h"

namespace flexae {
namespace {

/// Cells whose sums the registers hold at once: kCells × 2 sums, two weights and one value must fit
/// into 16 registers, or 32 with AVX-512.
#if defined(__AVX512F__)
constexpr int kCells = 12;
#else
constexpr int kCells = 6;
#endif

/// Whether this instruction set multiplies values stored as T, and how.
template <typename T>
struct Multiplies {
  static constexpr bool value = false;
};

template <>
struct Multiplies<float> {
  static constexpr bool value = true;
  using Vector = Lanes;
  static Lanes load(const void* values) { return *static_cast<const Lanes*>(values); }
  static Lanes broadcast(const void* value) { return *static_cast<const float*>(value) - Lanes{}; }
  static Lanes add(Lanes sum, Lanes value, Lanes weights) { return sum + value * weights; }
};

#ifdef __AVX512BF16__
template <>
struct Multiplies<Bf16> {
  static constexpr bool value = true;
  using Vector = __m512i;
  static __m512i load(const void* values) { return _mm512_loadu_si512(values); }
  static __m512i broadcast(const void* value) {
    int pair;
    __builtin_memcpy(&pair, value, sizeof pair);
    return _mm512_set1_epi32(pair);
  }
  static Lanes add(Lanes sum, __m512i value, __m512i weights) {
    return (Lanes)_mm512_dpbf16_ps((__m512)sum, (__m512bh)value, (__m512bh)weights);
  }
};
#endif

/// The second-level cache fetches a line of memory.
inline void fetch(const char* line) {
  __builtin_prefetch(line, 0, 2);
}

/// Calls body(panel, vectors, c, width) for the panels of a packed weight of `rows` rows: of
/// `width` channels from c on, in one or two vectors.
template <typename Item, typename Body>
inline void for_each_panel(const Item* packed, int64_t rows, int64_t channels, Body body) {
  for (int64_t c = 0; c < channels;) {
    const int64_t left = channels - c;
    const int64_t vectors = left > kLanes ? 2 : 1;
    const int64_t width = left < vectors * kLanes ? left : vectors * kLanes;
    body(packed, vectors, c, width);
    packed += rows * vectors * kLanes;
    c += width;
  }
}

}  // namespace
}  // namespace flexae
