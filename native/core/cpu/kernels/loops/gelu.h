#pragma once

// GELU and its derivative, of one value or a register of values.

#include "core/cpu/kernels/bf16.h"
#include "core/cpu/kernels/loops/math.h"

namespace flexae {
namespace {

// With Φ and φ the normal distribution and its density, and a = |z|, both follow from a part that
// vanishes far from zero:
//   gelu(z)  = max(z, 0) − a·Φ(−a)
//   gelu'(z) = z < 0 ? s(a) : 1 − s(a),   s(a) = Φ(−a) − a·φ(a)
// Φ(−a) and s(a) are e^(−a²/2) times something smooth, for which there are polynomials here:
// minimax, weighted by that exponential and, for Φ, by a. Far from zero no digits cancel, as they
// do in 1 + erf(z/√2).

/// The coefficients of Φ(−a)·e^(a²/2) and s(a)·e^(a²/2), for values that are stored as T.
template <typename T>
struct GeluTail {
  // Error 1e-8 in gelu, 4e-9 in gelu'.
  static constexpr float kCdf[] = {
      0.5F,           -0.398941398F,   0.249985218F,    -0.132882416F,   0.0621601455F,
      -0.0258941483F, 0.0094738286F,   -0.00292788143F, 0.000722509751F, -1.33171096e-4F,
      1.68831921e-5F, -1.29593093e-6F, 4.4997698e-8F};
  static constexpr float kSlope[] = {
      0.5F,           -0.797884047F,   0.249991104F,    -0.132916898F,   0.0622623861F,
      -0.0260691717F, 0.00965979882F,  -0.00305535109F, 0.000779674738F, -1.49791318e-4F,
      1.98930466e-5F, -1.60366437e-6F, 5.85332209e-8F};
};
template <>
struct GeluTail<Bf16> {
  // Error 3e-5 and 2e-5.
  static constexpr float kCdf[] = {0.49997434F,  -0.397854209F,   0.242475614F, -0.113258682F,
                                   0.036697641F, -0.00698663527F, 5.696601e-4F};
  static constexpr float kSlope[] = {0.499984294F,  -0.797151744F,  0.244423226F,  -0.116940565F,
                                     0.0396718308F, -0.0080417404F, 7.04211358e-4F};
};

template <int kCount, typename F>
inline F polynomial(const float (&coefficients)[kCount], F x) {
  F sum = F{} + coefficients[kCount - 1];
#pragma GCC unroll 16
  for (int i = kCount - 2; i >= 0; --i) sum = sum * x + coefficients[i];
  return sum;
}

/// |z|, but where the exponential of −z²/2 would be below fp32.
template <typename F>
inline F gelu_distance(F z) {
  const F a = magnitude_of(z);
  return a > 13.0F ? F{} + 13.0F : a;
}

template <typename T, typename F>
inline F gelu(F z) {
  const F a = gelu_distance(z);
  const F cdf = polynomial(GeluTail<T>::kCdf, a) * exp_for<T>(-0.5F * a * a);
  return (z < 0.0F ? F{} : z) - a * cdf;
}

template <typename T, typename F>
inline F gelu_slope(F z) {
  const F a = gelu_distance(z);
  const F tail = polynomial(GeluTail<T>::kSlope, a) * exp_for<T>(-0.5F * a * a);
  return z < 0.0F ? tail : 1.0F - tail;
}

}  // namespace
}  // namespace flexae
