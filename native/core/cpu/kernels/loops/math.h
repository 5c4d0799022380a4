#pragma once

// Exponentials, logarithms and what is made of them, of one value or a register of values.

#include <cstdint>

#ifdef __AVX2__
#include <immintrin.h>
#endif

#include "core/cpu/kernels/bf16.h"
#include "core/cpu/kernels/loops/simd.h"

namespace flexae {
namespace {

/// 2ⁿ, where n is in the lowest bits of `n`. Unsigned, for the sake of lanes whose n is too large
/// and which are dropped later.
inline float power_of_two(float n) {
  return from_bits(static_cast<int32_t>((static_cast<uint32_t>(to_bits(n)) << 23) + 0x3f800000U));
}
inline Lanes power_of_two(Lanes n) {
  return from_bits((IntLanes)(((UnsignedLanes)n << 23) + 0x3f800000U));
}

template <typename F>
inline F magnitude_of(F x) {
  return from_bits(to_bits(x) & 0x7fffffff);
}

/// eˣ = power·(1 + less), where power = 2ⁿ and |less| < 0.42.
template <typename F>
struct Exponential {
  F power;
  F less;
};

/// 2ᶠ − 1 for |f| ≤ ½: Cephes's polynomial (exp2f).
template <typename F>
inline F exp2_less_one(F f) {
  F p = f * 1.535336188319500e-4F + 1.339887440266574e-3F;
  p = p * f + 9.618437357674640e-3F;
  p = p * f + 5.550332471162809e-2F;
  p = p * f + 2.402264791363012e-1F;
  p = p * f + 6.931472028550421e-1F;
  return p * f;
}

/// For x in [-87.33, 88.37]. The relative error grows with |x|
/// to 5e-6, by the rounding of x·log₂e.
template <typename F>
inline Exponential<F> split_exp(F x) {
  // Adding 1.5·2²³ rounds to an integer, which is then in the lowest bits.
  constexpr float kRound = 12582912.0F;
  const F t = x * 1.44269504088896341F;
  const F rounded = t + kRound;
  const F f = t - (rounded - kRound);
  return {power_of_two(rounded), exp2_less_one(f)};
}

template <typename F>
inline F fast_exp(F x) {
  x = x < -87.33F ? F{} - 87.33F : x;
  x = x > 88.37F ? F{} + 88.37F : x;
  const Exponential<F> e = split_exp(x);
  return e.power * e.less + e.power;
}

/// eˣ for x ≤ 88.37.
template <typename F>
inline F fast_exp_not_large(F x) {
  const Exponential<F> e = split_exp(x < -87.33F ? F{} - 87.33F : x);
  return e.power * e.less + e.power;
}

/// eˣ − 1 for x ≤ 0 without cancellation near 0: 2ⁿ·(2ᶠ − 1) + (2ⁿ − 1). Something for other x.
template <typename F>
inline F fast_expm1_negative(F x) {
  const Exponential<F> e = split_exp(x < -87.33F ? F{} - 87.33F : x);
  return e.power * e.less + (e.power - 1.0F);
}

// For values that are stored as T. bf16 has 8 bits: a relative error of 2⁻¹³ in an exponential, and
// an absolute one of 2⁻¹⁸ in eˣ − 1, are far below its own.
template <typename T, typename F>
inline F exp_for(F x) {
  return fast_exp_not_large(x);
}
template <typename T, typename F>
inline F expm1_for(F x) {
  return fast_expm1_negative(x);
}

#ifdef __AVX512F__
// AVX-512 splits off and puts back exponents by one instruction each, at any x.
inline Lanes fast_exp(Lanes x) {
  const Lanes t = x * 1.44269504088896341F;
  const Lanes f = (Lanes)_mm512_reduce_ps((__m512)t, 1);  // t − ⌊t⌋
  // Minimax for 2ᶠ in [0, 1), relative error 1.6e-7 in fp32.
  Lanes p = f * 1.8775767e-3F + 8.9893406e-3F;
  p = p * f + 5.5826318e-2F;
  p = p * f + 2.4015361e-1F;
  p = p * f + 6.9315308e-1F;
  p = p * f + 0.99999994F;
  return (Lanes)_mm512_scalef_ps((__m512)p, (__m512)t);
}
inline Lanes fast_exp_not_large(Lanes x) {
  return fast_exp(x);
}
inline Lanes fast_expm1_negative(Lanes x) {
  const Lanes t = x * 1.44269504088896341F;
  const Lanes f = (Lanes)_mm512_reduce_ps((__m512)t, 0);  // t less the nearest integer
  const Lanes one = Lanes{} + 1.0F;
  const Lanes power = (Lanes)_mm512_scalef_ps((__m512)one, (__m512)(t - f));
  return power * exp2_less_one(f) + (power - 1.0F);
}

template <>
inline Lanes exp_for<Bf16>(Lanes x) {
  const Lanes t = x * 1.44269504088896341F;
  const Lanes f = (Lanes)_mm512_reduce_ps((__m512)t, 1);
  // Minimax for 2ᶠ in [0, 1), relative error 7.5e-5.
  Lanes p = f * 7.8024514e-2F + 2.2606717e-1F;
  p = p * f + 6.9583356e-1F;
  p = p * f + 9.9992520e-1F;
  return (Lanes)_mm512_scalef_ps((__m512)p, (__m512)t);
}
template <>
inline Lanes expm1_for<Bf16>(Lanes x) {
  const Lanes t = x * 1.44269504088896341F;
  const Lanes f = (Lanes)_mm512_reduce_ps((__m512)t, 1);
  // Likewise, 2.7e-6.
  Lanes p = f * 1.3534167e-2F + 5.2011464e-2F;
  p = p * f + 2.4144276e-1F;
  p = p * f + 6.9300383e-1F;
  p = p * f + 1.0000026F;
  return (Lanes)_mm512_scalef_ps((__m512)p, (__m512)t) - 1.0F;
}
#endif

/// ln(1 + u) for u in [0, 1]: Cephes's logf polynomial on the mantissa of 1 + u.
template <typename F>
inline F fast_log1p(F u) {
  const F w = 1.0F + u;
  // 1 + u lies in [1, 2]; above √2 halve it.
  const auto high = w > 1.41421356F;
  const F m = (high ? 0.5F * w : w) - 1.0F;
  // What rounding 1 + u lost, to first order.
  const F lost = (u - (w - 1.0F)) / w;
  const F z = m * m;
  F p = 7.0376836292e-2F * m - 1.1514610310e-1F;
  p = p * m + 1.1676998740e-1F;
  p = p * m - 1.2420140846e-1F;
  p = p * m + 1.4249322787e-1F;
  p = p * m - 1.6668057665e-1F;
  p = p * m + 2.0000714765e-1F;
  p = p * m - 2.4999993993e-1F;
  p = p * m + 3.3333331174e-1F;
  const F l = p * m * z - 0.5F * z + m;
  return l + (high ? F{} + 0.693147180559945F : F{}) + lost;
}

template <typename F>
inline F fast_sigmoid(F x) {
  return 1.0F / (1.0F + fast_exp(-x));
}

template <typename F>
inline F fast_tanh(F x) {
  const F a = magnitude_of(x);
  const F e = fast_exp(-2.0F * a);
  const F large = (1.0F - e) / (1.0F + e);
  const F s = x * x;
  // The series of tanh; below 0.2 its next term is beyond fp32.
  const F small =
      a * (1.0F +
           s * (-1.0F / 3.0F + s * (2.0F / 15.0F + s * (-17.0F / 315.0F + s * 62.0F / 2835.0F))));
  const F size = a < 0.2F ? small : large;
  return from_bits((to_bits(size) & 0x7fffffff) | (to_bits(x) & ~0x7fffffff));
}

}  // namespace
}  // namespace flexae
