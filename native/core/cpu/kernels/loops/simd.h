#pragma once

// Registers of values, and loops over arrays by registers, for whatever instruction set the
// including file is compiled for.

#include <cstdint>

#ifdef __AVX2__
#include <immintrin.h>
#endif

#include "core/cpu/kernels/bf16.h"

namespace flexae {
namespace {

/// fp32 values of one register.
#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

/// One register; may lie anywhere in memory.
using Lanes
    [[gnu::vector_size(kLanes * sizeof(float)), gnu::aligned(alignof(float)), gnu::may_alias]] =
        float;
using IntLanes
    [[gnu::vector_size(kLanes * sizeof(float)), gnu::aligned(alignof(float)), gnu::may_alias]] =
        int32_t;
using UnsignedLanes
    [[gnu::vector_size(kLanes * sizeof(float)), gnu::aligned(alignof(float)), gnu::may_alias]] =
        uint32_t;
using ShortLanes [[gnu::vector_size(kLanes * sizeof(uint16_t)), gnu::aligned(alignof(uint16_t)),
                   gnu::may_alias]] = uint16_t;

// Formulas are templates on F, which is one value (float) or a register of them (Lanes).

inline float from_bits(int32_t bits) {
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}
inline Lanes from_bits(IntLanes bits) {
  return (Lanes)bits;
}
inline int32_t to_bits(float value) {
  int32_t bits;
  __builtin_memcpy(&bits, &value, sizeof bits);
  return bits;
}
inline IntLanes to_bits(Lanes value) {
  return (IntLanes)value;
}

inline void store_lanes(float* to, Lanes values) {
  *reinterpret_cast<Lanes*>(to) = values;
}

#ifdef __AVX512BF16__
inline void store_lanes(Bf16* to, Lanes values) {
  const __m256bh narrow = _mm512_cvtneps_pbh((__m512)values);
  __builtin_memcpy(to, &narrow, sizeof narrow);
}
#endif

/// F values from p on, widened.
template <typename F>
inline F get(const float* p) {
  F values;
  __builtin_memcpy(&values, p, sizeof values);
  return values;
}
template <typename F>
inline F get(const Bf16* p) {
  if constexpr (sizeof(F) == sizeof(float)) {
    return from_bits(static_cast<int32_t>(static_cast<uint32_t>(*p) << 16));
  } else {
    ShortLanes bits;
    __builtin_memcpy(&bits, p, sizeof bits);
    // The compiler would widen each half by itself.
#if defined(__AVX512F__)
    return from_bits((IntLanes)_mm512_cvtepu16_epi32((__m256i)bits) << 16);
#elif defined(__AVX2__)
    return from_bits((IntLanes)_mm256_cvtepu16_epi32((__m128i)bits) << 16);
#else
    return from_bits(__builtin_convertvector(bits, IntLanes) << 16);
#endif
  }
}

template <typename F>
inline void put(float* p, F values) {
  __builtin_memcpy(p, &values, sizeof values);
}
inline void put(Bf16* p, float value) {
  const auto bits = static_cast<uint32_t>(to_bits(value));
  const uint32_t rounded = (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
  // Rounding must not turn a NaN into an infinity.
  *p = static_cast<Bf16>(static_cast<uint16_t>(value != value ? 0x7fc0U : rounded));
}
inline void put(Bf16* p, Lanes values) {
#ifdef __AVX512BF16__
  store_lanes(p, values);
#else
  const auto bits = (UnsignedLanes)values;
  const auto rounded = (IntLanes)((bits + 0x7fffU + ((bits >> 16) & 1)) >> 16);
  const IntLanes nan = (to_bits(values) & 0x7fffffff) > 0x7f800000;
  const ShortLanes narrow =
      __builtin_convertvector(nan ? IntLanes{} + 0x7fc0 : rounded, ShortLanes);
  __builtin_memcpy(p, &narrow, sizeof narrow);
#endif
}

/// Calls body(F{}, i) for whole registers of [0, n), then for what is left.
template <typename Body>
inline void for_each_register(int64_t n, Body body) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) body(Lanes{}, i);
  for (; i < n; ++i) body(0.0F, i);
}

/// As for_each_register(), for a body that may compute values twice: what is left behind whole
/// registers is in one that begins before their end.
template <typename Body>
inline void cover_by_registers(int64_t n, Body body) {
  if (n < kLanes) return for_each_register(n, body);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) body(Lanes{}, i);
  if (i < n) body(Lanes{}, n - kLanes);
}

/// The last `count` values of a register, 0 for the others.
inline Lanes last_lanes(Lanes values, int64_t count) {
  IntLanes places;
  for (int i = 0; i < kLanes; ++i) places[i] = i;
  return from_bits(to_bits(values) & (places >= static_cast<int32_t>(kLanes - count)));
}

/// Calls body(i, k) for whole registers of n values and what is left. k is begin(F{}, c), c being
/// the channel of value i, and is given to end(c, k) afterwards: what belongs to a channel stays in
/// registers while the rows go by. `period` is a multiple of two registers.
template <typename Begin, typename Body, typename End>
inline void by_channel(int64_t n, int64_t period, Begin begin, Body body, End end) {
  const int64_t whole = n / period * period;
  if (whole > 0) {
    for (int64_t c = 0; c < period; c += 2 * kLanes) {
      auto first = begin(Lanes{}, c);
      auto second = begin(Lanes{}, c + kLanes);
      for (int64_t row = c; row < whole; row += period) {
        body(row, first);
        body(row + kLanes, second);
      }
      end(c, first);
      end(c + kLanes, second);
    }
  }
  for_each_register(n - whole, [&](auto zero, int64_t c) {
    auto k = begin(zero, c);
    body(whole + c, k);
    end(c, k);
  });
}

}  // namespace
}  // namespace flexae
