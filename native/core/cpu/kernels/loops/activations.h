#pragma once

// Activations and their derivatives.

#include "core/cpu/kernels/loops/gelu.h"
#include "core/cpu/kernels/loops/math.h"

namespace flexae {
namespace {

using A = Activation;

constexpr float kSeluAlphaF = 1.6732632423543772848170429916717F;
constexpr float kSeluScaleF = 1.0507009873554804934193349852946F;
constexpr float kLeakyF = 0.2F;

/// act(z), of values stored as T.
template <Activation kind, typename T, typename F>
inline F apply(F z) {
  if constexpr (kind == A::kLinear) return z;
  // Written so that NaN goes through: a loss that is no number must show.
  if constexpr (kind == A::kRelu) return z < 0.0F ? F{} : z;
  if constexpr (kind == A::kElu) return z < 0.0F ? expm1_for<T>(z) : z;
  if constexpr (kind == A::kSelu) {
    return kSeluScaleF * (z < 0.0F ? kSeluAlphaF * expm1_for<T>(z) : z);
  }
  if constexpr (kind == A::kGelu) return gelu<T>(z);
  if constexpr (kind == A::kTanh) return fast_tanh(z);
  if constexpr (kind == A::kSigmoid) return fast_sigmoid(z);
  if constexpr (kind == A::kHardSigmoid) {
    const F y = z * (1.0F / 6.0F) + 0.5F;
    const F low = y < 0.0F ? F{} : y;
    return low > 1.0F ? F{} + 1.0F : low;
  }
  if constexpr (kind == A::kSoftplus) {
    const F e = fast_exp_not_large(-magnitude_of(z));
    return (z > 0.0F ? z : F{}) + fast_log1p(e);
  }
  if constexpr (kind == A::kSoftsign) return z / (1.0F + magnitude_of(z));
  if constexpr (kind == A::kExponential) {
    // Beyond is infinity.
    return z > 88.7F ? z * 3.4e38F : fast_exp(z);
  }
  if constexpr (kind == A::kSilu) return z * fast_sigmoid(z);
  if constexpr (kind == A::kLeakyRelu) return z > 0.0F ? z : kLeakyF * z;
}

/// act'(z)
template <Activation kind, typename T, typename F>
inline F slope(F z) {
  if constexpr (kind == A::kLinear) return F{} + 1.0F;
  if constexpr (kind == A::kRelu) return z > 0.0F ? F{} + 1.0F : F{};
  if constexpr (kind == A::kElu) return z < 0.0F ? exp_for<T>(z) : F{} + 1.0F;
  if constexpr (kind == A::kSelu) {
    return z > 0.0F ? F{} + kSeluScaleF : kSeluScaleF * kSeluAlphaF * exp_for<T>(z);
  }
  if constexpr (kind == A::kGelu) return gelu_slope<T>(z);
  if constexpr (kind == A::kTanh) {
    const F y = fast_tanh(z);
    return 1.0F - y * y;
  }
  if constexpr (kind == A::kSigmoid) {
    const F y = fast_sigmoid(z);
    return y * (1.0F - y);
  }
  if constexpr (kind == A::kHardSigmoid) {
    return magnitude_of(z) < 3.0F ? F{} + 1.0F / 6.0F : F{};
  }
  if constexpr (kind == A::kSoftplus) return fast_sigmoid(z);
  if constexpr (kind == A::kSoftsign) {
    const F d = 1.0F + magnitude_of(z);
    return 1.0F / (d * d);
  }
  if constexpr (kind == A::kExponential) return apply<A::kExponential, T>(z);
  if constexpr (kind == A::kSilu) {
    const F y = fast_sigmoid(z);
    return y * (1.0F + z * (1.0F - y));
  }
  if constexpr (kind == A::kLeakyRelu) return z > 0.0F ? F{} + 1.0F : F{} + kLeakyF;
}

/// Calls `body.template operator()<kind>()` for the activation.
template <typename Body>
inline void dispatch(Activation activation, Body body) {
  switch (activation) {
    case A::kLinear:
      return body.template operator()<A::kLinear>();
    case A::kRelu:
      return body.template operator()<A::kRelu>();
    case A::kElu:
      return body.template operator()<A::kElu>();
    case A::kSelu:
      return body.template operator()<A::kSelu>();
    case A::kGelu:
      return body.template operator()<A::kGelu>();
    case A::kTanh:
      return body.template operator()<A::kTanh>();
    case A::kSigmoid:
      return body.template operator()<A::kSigmoid>();
    case A::kHardSigmoid:
      return body.template operator()<A::kHardSigmoid>();
    case A::kSoftplus:
      return body.template operator()<A::kSoftplus>();
    case A::kSoftsign:
      return body.template operator()<A::kSoftsign>();
    case A::kExponential:
      return body.template operator()<A::kExponential>();
    case A::kSilu:
      return body.template operator()<A::kSilu>();
    case A::kLeakyRelu:
      return body.template operator()<A::kLeakyRelu>();
  }
}

}  // namespace
}  // namespace flexae
