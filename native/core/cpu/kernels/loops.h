// The loops of kernels.h, written so that the compiler vectorizes them for whatever instruction set
// the including file is compiled for. Everything is static and free of the standard library's
// templates: an inline function compiled for AVX-512 must never be the copy that the linker keeps
// for everyone.

#include <cmath>
#include <cstdint>
#include <cstring>

#ifdef __AVX2__
#include <immintrin.h>
#endif

#include "core/cpu/kernels/convolve.h"
#include "core/cpu/kernels/kernels.h"

namespace flexae {
namespace {

using A = Activation;

constexpr float kSeluAlphaF = 1.6732632423543772848170429916717F;
constexpr float kSeluScaleF = 1.0507009873554804934193349852946F;
constexpr float kLeakyF = 0.2F;

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

inline float erf_of(float x) {
  return __builtin_erff(x);
}
inline Lanes erf_of(Lanes x) {
  for (int i = 0; i < kLanes; ++i) x[i] = __builtin_erff(x[i]);
  return x;
}

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
  if constexpr (kind == A::kGelu) return 0.5F * z * (1.0F + erf_of(z * 0.70710678118654752F));
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
  if constexpr (kind == A::kGelu) {
    const F cdf = 0.5F * (1.0F + erf_of(z * 0.70710678118654752F));
    return cdf + z * 0.39894228040143268F * fast_exp_not_large(-0.5F * z * z);
  }
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

template <typename F>
struct Affine {
  F scale;
  F shift;
};

template <typename T, typename O>
void affine_activate(const T* x, O* y, int64_t n, const float* scale, const float* shift,
                     int64_t period, Activation activation) {
  dispatch(activation, [&]<Activation kind>() {
    by_channel(
        n, period,
        [&]<typename F>(F, int64_t c) {
          return Affine<F>{get<F>(scale + c), get<F>(shift + c)};
        },
        [&]<typename F>(int64_t i, const Affine<F>& k) {
          put(y + i, apply<kind, T>(get<F>(x + i) * k.scale + k.shift));
        },
        [](int64_t, const auto&) {});
  });
}

template <typename F>
struct NormSums {
  F scale;
  F shift;
  F center;
  F s1;
  F s2;
};

template <typename T>
void norm_backward_sums(const T* x, const T* dy, int64_t n, const float* scale, const float* shift,
                        const float* center, int64_t period, Activation activation, float* s1,
                        float* s2) {
  dispatch(activation, [&]<Activation kind>() {
    by_channel(
        n, period,
        [&]<typename F>(F, int64_t c) {
          return NormSums<F>{get<F>(scale + c), get<F>(shift + c), get<F>(center + c),
                             get<F>(s1 + c), get<F>(s2 + c)};
        },
        [&]<typename F>(int64_t i, NormSums<F>& k) {
          const F value = get<F>(x + i);
          const F dz = get<F>(dy + i) * slope<kind, T>(value * k.scale + k.shift);
          k.s1 += dz;
          k.s2 += dz * (value - k.center);
        },
        [&](int64_t c, const auto& k) {
          put(s1 + c, k.s1);
          put(s2 + c, k.s2);
        });
  });
}

template <typename F>
struct NormApply {
  F scale;
  F shift;
  F k1;
  F k2;
  F k3;
};

template <typename T>
void norm_backward_apply(const T* x, const T* dy, T* dx, int64_t n, const float* scale,
                         const float* shift, const float* k1, const float* k2, const float* k3,
                         int64_t period, Activation activation) {
  dispatch(activation, [&]<Activation kind>() {
    by_channel(
        n, period,
        [&]<typename F>(F, int64_t c) {
          return NormApply<F>{get<F>(scale + c), get<F>(shift + c), get<F>(k1 + c), get<F>(k2 + c),
                              get<F>(k3 + c)};
        },
        [&]<typename F>(int64_t i, const NormApply<F>& k) {
          const F value = get<F>(x + i);
          const F dz = get<F>(dy + i) * slope<kind, T>(value * k.scale + k.shift);
          put(dx + i, k.k1 * dz + (k.k2 * value + k.k3));
        },
        [](int64_t, const auto&) {});
  });
}

/// Calls body(i, mean) for `width` means over 2×2 pixels, of a register of channels from c on: i is
/// where the first pixel under it is in a row, the second is `channels` behind it.
template <typename Body>
inline void under_means(int64_t c, int64_t width, int64_t channels, Body body) {
  for (int64_t x = 0; x < width; ++x) body(2 * x * channels + c, x * channels + c);
}

template <typename T>
void average_activated(const T* a, const T* b, T* out, int64_t width, int64_t channels,
                       const float* scale, const float* shift, Activation activation) {
  dispatch(activation, [&]<Activation kind>() {
    for (int64_t c = 0; c < channels; c += kLanes) {
      const Affine<Lanes> k{get<Lanes>(scale + c), get<Lanes>(shift + c)};
      const auto act = [&](const T* x) {
        return apply<kind, T>(get<Lanes>(x) * k.scale + k.shift);
      };
      under_means(c, width, channels, [&](int64_t i, int64_t mean) {
        const Lanes first = act(a + i) + act(a + i + channels);
        const Lanes second = act(b + i) + act(b + i + channels);
        put(out + mean, 0.25F * (first + second));
      });
    }
  });
}

template <typename T>
void averaged_backward_sums(const T* a, const T* b, const T* grad, int64_t width, int64_t channels,
                            const float* scale, const float* shift, const float* center,
                            Activation activation, float* s1, float* s2) {
  dispatch(activation, [&]<Activation kind>() {
    for (int64_t c = 0; c < channels; c += kLanes) {
      NormSums<Lanes> k{get<Lanes>(scale + c), get<Lanes>(shift + c), get<Lanes>(center + c),
                        get<Lanes>(s1 + c), get<Lanes>(s2 + c)};
      under_means(c, width, channels, [&](int64_t i, int64_t mean) {
        const Lanes dy = 0.25F * get<Lanes>(grad + mean);
        const auto add = [&](const T* x) {
          const Lanes value = get<Lanes>(x);
          const Lanes dz = dy * slope<kind, T>(value * k.scale + k.shift);
          k.s1 += dz;
          k.s2 += dz * (value - k.center);
        };
        add(a + i);
        add(a + i + channels);
        add(b + i);
        add(b + i + channels);
      });
      put(s1 + c, k.s1);
      put(s2 + c, k.s2);
    }
  });
}

template <typename T>
void averaged_backward_apply(const T* a, const T* b, const T* grad, T* da, T* db, int64_t width,
                             int64_t channels, const float* scale, const float* shift,
                             const float* k1, const float* k2, const float* k3,
                             Activation activation) {
  dispatch(activation, [&]<Activation kind>() {
    for (int64_t c = 0; c < channels; c += kLanes) {
      const NormApply<Lanes> k{get<Lanes>(scale + c), get<Lanes>(shift + c), get<Lanes>(k1 + c),
                               get<Lanes>(k2 + c), get<Lanes>(k3 + c)};
      under_means(c, width, channels, [&](int64_t i, int64_t mean) {
        const Lanes dy = 0.25F * k.k1 * get<Lanes>(grad + mean);
        const auto one = [&](const T* x, T* dx) {
          const Lanes value = get<Lanes>(x);
          const Lanes dz = dy * slope<kind, T>(value * k.scale + k.shift);
          put(dx, dz + (k.k2 * value + k.k3));
        };
        one(a + i, da + i);
        one(a + i + channels, da + i + channels);
        one(b + i, db + i);
        one(b + i + channels, db + i + channels);
      });
    }
  });
}

template <typename F>
struct Moments {
  F center;
  F s1;
  F s2;
};

template <typename T>
void moments(const T* x, int64_t n, const float* center, int64_t period, float* s1, float* s2) {
  by_channel(
      n, period,
      [&]<typename F>(F, int64_t c) {
        return Moments<F>{get<F>(center + c), get<F>(s1 + c), get<F>(s2 + c)};
      },
      [&]<typename F>(int64_t i, Moments<F>& k) {
        const F d = get<F>(x + i) - k.center;
        k.s1 += d;
        k.s2 += d * d;
      },
      [&](int64_t c, const auto& k) {
        put(s1 + c, k.s1);
        put(s2 + c, k.s2);
      });
}

template <typename T, typename In>
void add_four(const In* a, const In* b, T* out, int64_t n, int64_t shift) {
  for_each_register(n, [&]<typename F>(F, int64_t i) {
    put(out + i, get<F>(a + i) + get<F>(a + i + shift) + get<F>(b + i) + get<F>(b + i + shift));
  });
}

template <typename T>
void spread_rows(const T* grad, T* a, T* b, int64_t width, int64_t channels) {
  for (int64_t x = 0; x < width; ++x, grad += channels, a += 2 * channels, b += 2 * channels) {
    for_each_register(channels, [&]<typename F>(F, int64_t c) {
      const F part = 0.25F * get<F>(grad + c);
      put(a + c, part);
      put(a + channels + c, part);
      put(b + c, part);
      put(b + channels + c, part);
    });
  }
}

template <typename T>
void store(const float* x, T* y, int64_t n) {
  for_each_register(n, [&]<typename F>(F, int64_t i) { put(y + i, get<F>(x + i)); });
}

template <typename In, typename O>
void combine(const In* a, const In* b, float sign, O* out, int64_t count, int64_t step,
             int64_t out_step, int64_t n) {
  for (int64_t t = 0; t < count; ++t, a += step, b += step, out += out_step) {
    for_each_register(
        n, [&]<typename F>(F, int64_t i) { put(out + i, get<F>(a + i) + sign * get<F>(b + i)); });
  }
}

void add_apart(const float* x, float* a, float* b, float sign, int64_t count, int64_t x_step,
               int64_t step, int64_t n) {
  for (int64_t t = 0; t < count; ++t, x += x_step, a += step, b += step) {
    for_each_register(n, [&]<typename F>(F, int64_t i) {
      const F value = get<F>(x + i);
      put(a + i, get<F>(a + i) + value);
      if (sign != 0) put(b + i, get<F>(b + i) + sign * value);
    });
  }
}

template <typename T, typename O>
void sums_to_cells(const float* sums, int64_t apart, O* const* cells, int64_t n) {
  for_each_register(n, [&]<typename F>(F, int64_t i) {
    F first[4];
    F second[4];
#pragma GCC unroll 4
    for (int across = 0; across < 4; ++across) {
      const float* s = sums + across * apart + i;
      const F s1 = get<F>(s + 4 * apart);
      const F s2 = get<F>(s + 8 * apart);
      first[across] = get<F>(s) + s1 + s2;
      second[across] = s1 - s2 - get<F>(s + 12 * apart);
    }
    put(cells[0] + i, first[0] + first[1] + first[2]);
    if (cells[1] != nullptr) put(cells[1] + i, first[1] - first[2] - first[3]);
    if (cells[2] != nullptr) put(cells[2] + i, second[0] + second[1] + second[2]);
    if (cells[3] != nullptr) put(cells[3] + i, second[1] - second[2] - second[3]);
  });
}

template <typename T>
void cells_to_sums(const T* const* cells, T* sums, int64_t apart, int64_t n) {
  for_each_register(n, [&]<typename F>(F, int64_t i) {
    const F y[2][2] = {{get<F>(cells[0] + i), get<F>(cells[1] + i)},
                       {get<F>(cells[2] + i), get<F>(cells[3] + i)}};
    F across[2][4];
#pragma GCC unroll 2
    for (int row = 0; row < 2; ++row) {
      across[row][0] = y[row][0];
      across[row][1] = y[row][0] + y[row][1];
      across[row][2] = y[row][0] - y[row][1];
      across[row][3] = -y[row][1];
    }
#pragma GCC unroll 4
    for (int column = 0; column < 4; ++column) {
      T* s = sums + column * apart + i;
      put(s, across[0][column]);
      put(s + 4 * apart, across[0][column] + across[1][column]);
      put(s + 8 * apart, across[0][column] - across[1][column]);
      put(s + 12 * apart, -across[1][column]);
    }
  });
}

void combine_line(const float* x, int64_t stride, const float* has_three, int64_t n, float* first,
                  float* second, float* third) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float a = x[i];
    const float b = x[i + stride];
    const float c = x[i + 2 * stride];
    const bool three = has_three[i] != 0;
    first[i] = a - (three ? c : b);
    second[i] = a + (three ? b : 0.0F);
    third[i] = b - a;
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

void average_rows(const float* a, const float* b, float* out, int64_t width, int64_t channels,
                  float weight) {
  for (int64_t x = 0; x < width; ++x) {
    const float* pa = a + 2 * x * channels;
    const float* pb = b + 2 * x * channels;
    float* po = out + x * channels;
#pragma GCC ivdep
    for (int64_t c = 0; c < channels; ++c) {
      po[c] = (pa[c] + pa[c + channels] + pb[c] + pb[c + channels]) * weight;
    }
  }
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

void bce(const float* z, const float* t, float* grad, int64_t n, float factor, double* sums) {
  // Short runs in fp32, their sums in fp64.
  constexpr int64_t kRun = 2048;
  float scratch[kRun];
  for (int64_t begin = 0; begin < n; begin += kRun) {
    const int64_t count = n - begin < kRun ? n - begin : kRun;
    const float* zr = z + begin;
    const float* tr = t + begin;
    float* gr = grad != nullptr ? grad + begin : scratch;
    float loss = 0;
    float right = 0;
    float square = 0;
#pragma omp simd reduction(+ : loss, right, square)
    for (int64_t i = 0; i < count; ++i) {
      const float a = __builtin_fabsf(zr[i]);
      const float e = fast_exp(-a);
      const float inverse = 1.0F / (1.0F + e);
      const float p = zr[i] < 0 ? e * inverse : inverse;
      const float d = p - tr[i];
      loss += (zr[i] > 0 ? zr[i] : 0.0F) - zr[i] * tr[i] + fast_log1p(e);
      right += (p > 0.5F ? 1.0F : 0.0F) == tr[i] ? 1.0F : 0.0F;
      square += d * d;
      gr[i] = d * factor;
    }
    sums[0] += static_cast<double>(loss);
    sums[1] += static_cast<double>(right);
    sums[2] += static_cast<double>(square);
  }
}

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

/// As integers, the magnitudes of infinities and NaNs are above all others.
inline int32_t magnitude(float x) {
  return to_bits(x) & 0x7fffffff;
}
inline bool is_finite(int32_t magnitude) {
  return magnitude < 0x7f800000;
}
inline int32_t larger(int32_t a, int32_t b) {
  return a > b ? a : b;
}

bool sgd(float* p, const float* g, int64_t n, float lr) {
  int32_t greatest = 0;
#pragma omp simd reduction(max : greatest)
  for (int64_t i = 0; i < n; ++i) {
    greatest = larger(greatest, magnitude(g[i]));
    p[i] -= lr * g[i];
  }
  return is_finite(greatest);
}

bool adadelta(float* p, const float* g, float* a, float* d, int64_t n, float lr, float rho,
              float epsilon) {
  const float fresh = 1.0F - rho;
  int32_t greatest = 0;
#pragma omp simd reduction(max : greatest)
  for (int64_t i = 0; i < n; ++i) {
    greatest = larger(greatest, magnitude(g[i]));
    const float acc = rho * a[i] + fresh * g[i] * g[i];
    const float delta = g[i] * (__builtin_sqrtf(d[i] + epsilon) / __builtin_sqrtf(acc + epsilon));
    a[i] = acc;
    d[i] = rho * d[i] + fresh * delta * delta;
    p[i] -= lr * delta;
  }
  return is_finite(greatest);
}

bool adam(float* p, const float* g, float* m, float* v, int64_t n, float alpha, float beta1,
          float beta2, float epsilon, float decay) {
  const float f1 = 1.0F - beta1;
  const float f2 = 1.0F - beta2;
  int32_t greatest = 0;
#pragma omp simd reduction(max : greatest)
  for (int64_t i = 0; i < n; ++i) {
    greatest = larger(greatest, magnitude(g[i]));
    const float mi = m[i] + (g[i] - m[i]) * f1;
    const float vi = v[i] + (g[i] * g[i] - v[i]) * f2;
    m[i] = mi;
    v[i] = vi;
    p[i] = p[i] * decay - alpha * mi / (__builtin_sqrtf(vi) + epsilon);
  }
  return is_finite(greatest);
}

bool rmsprop(float* p, const float* g, float* v, int64_t n, float lr, float rho, float epsilon) {
  const float fresh = 1.0F - rho;
  int32_t greatest = 0;
#pragma omp simd reduction(max : greatest)
  for (int64_t i = 0; i < n; ++i) {
    greatest = larger(greatest, magnitude(g[i]));
    v[i] = rho * v[i] + fresh * g[i] * g[i];
    p[i] -= lr * g[i] / __builtin_sqrtf(v[i] + epsilon);
  }
  return is_finite(greatest);
}

bool adagrad(float* p, const float* g, float* a, int64_t n, float lr, float epsilon) {
  int32_t greatest = 0;
#pragma omp simd reduction(max : greatest)
  for (int64_t i = 0; i < n; ++i) {
    greatest = larger(greatest, magnitude(g[i]));
    a[i] += g[i] * g[i];
    p[i] -= lr * g[i] / __builtin_sqrtf(a[i] + epsilon);
  }
  return is_finite(greatest);
}

bool adamax(float* p, const float* g, float* m, float* u, int64_t n, float lr, float beta1,
            float beta2, float epsilon) {
  const float f1 = 1.0F - beta1;
  int32_t greatest = 0;
#pragma omp simd reduction(max : greatest)
  for (int64_t i = 0; i < n; ++i) {
    greatest = larger(greatest, magnitude(g[i]));
    m[i] += (g[i] - m[i]) * f1;
    const float faded = beta2 * u[i];
    const float size = __builtin_fabsf(g[i]);
    u[i] = faded > size ? faded : size;
    p[i] -= lr * m[i] / (u[i] + epsilon);
  }
  return is_finite(greatest);
}

bool nadam(float* p, const float* g, float* m, float* v, int64_t n, float cm, float cg, float cv,
           float beta1, float beta2, float epsilon) {
  const float f1 = 1.0F - beta1;
  const float f2 = 1.0F - beta2;
  int32_t greatest = 0;
#pragma omp simd reduction(max : greatest)
  for (int64_t i = 0; i < n; ++i) {
    greatest = larger(greatest, magnitude(g[i]));
    m[i] += (g[i] - m[i]) * f1;
    v[i] += (g[i] * g[i] - v[i]) * f2;
    p[i] -= (m[i] * cm + g[i] * cg) / (__builtin_sqrtf(v[i]) * cv + epsilon);
  }
  return is_finite(greatest);
}

template <typename T>
constexpr ValueKernels<T> make_value_kernels() {
  ValueKernels<T> set = {nullptr,
                         nullptr,
                         nullptr,
                         nullptr,
                         nullptr,
                         nullptr,
                         affine_activate<T, T>,
                         affine_activate<T, float>,
                         norm_backward_sums<T>,
                         norm_backward_apply<T>,
                         average_activated<T>,
                         averaged_backward_sums<T>,
                         averaged_backward_apply<T>,
                         moments<T>,
                         add_four<T, T>,
                         add_four<T, float>,
                         spread_rows<T>,
                         store<T>,
                         combine<T, float>,
                         combine<float, T>,
                         sums_to_cells<T, T>,
                         sums_to_cells<T, float>,
                         cells_to_sums<T>};
  if constexpr (Multiplies<T>::value) {
    set.convolve = convolve<T, T>;
    set.convolve_wide = convolve<T, float>;
    set.dots = dots<T>;
    set.add_weight_gradient = add_weight_gradient<T>;
    set.convolve_fetching = convolve_fetching<T>;
    set.add_weight_gradient_fetching = add_weight_gradient_fetching<T>;
  }
  return set;
}

constexpr Kernels make_kernels(const char* name) {
  return {name,
          kLanes,
          make_value_kernels<float>(),
          make_value_kernels<Bf16>(),
          combine_line,
#ifdef __AVX512F__
          convolve_lines,
#else
          nullptr,
#endif
          pair_up,
          pair_up_wide,
          average_rows,
          add,
          add_scaled,
          add_up,
          add_apart,
          bce,
          interleave,
          reverse_pixels,
          scale_bytes,
          sgd,
          adadelta,
          adam,
          rmsprop,
          adagrad,
          adamax,
          nadam};
}

}  // namespace
}  // namespace flexae
