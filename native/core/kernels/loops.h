// The loops of kernels.h, written so that the compiler vectorizes them for whatever instruction set
// the including file is compiled for. Everything is static and free of the standard library's
// templates: an inline function compiled for AVX-512 must never be the copy that the linker keeps
// for everyone.

#include <cmath>
#include <cstdint>
#include <cstring>

#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

#include "core/kernels/convolve.h"
#include "core/kernels/kernels.h"

namespace flexae {
namespace {

using A = Activation;

constexpr float kSeluAlphaF = 1.6732632423543772848170429916717F;
constexpr float kSeluScaleF = 1.0507009873554804934193349852946F;
constexpr float kLeakyF = 0.2F;

inline float bits_to_float(int32_t bits) {
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}
inline int32_t float_to_bits(float value) {
  int32_t bits;
  __builtin_memcpy(&bits, &value, sizeof bits);
  return bits;
}

/// eˣ = power·(1 + less + r), where power = 2ⁿ and |r| ≤ ln2/2.
struct Exponential {
  float power;
  float r;
  float less;
};

/// Cephes's range reduction and polynomial (expf), for x in [-87.33, 88.37].
inline Exponential reduce_exp(float x) {
  const float n = __builtin_rintf(x * 1.44269504088896341F);
  float r = x - n * 0.693359375F;
  r = r + n * 2.12194440e-4F;
  float p = 1.9875691500e-4F;
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  return {bits_to_float((static_cast<int32_t>(n) + 127) << 23), r, p * r * r};
}

/// eˣ with a relative error below 2e-7.
inline float fast_exp(float x) {
  x = x < -87.33F ? -87.33F : x;
  x = x > 88.37F ? 88.37F : x;
  const Exponential e = reduce_exp(x);
  return (e.less + e.r + 1.0F) * e.power;
}

/// eˣ − 1 for x ≤ 0 without cancellation near 0: 2ⁿ·(e^r − 1) + (2ⁿ − 1).
inline float fast_expm1_negative(float x) {
  const Exponential e = reduce_exp(x < -87.33F ? -87.33F : x);
  return e.power * (e.less + e.r) + (e.power - 1.0F);
}

/// ln(1 + u) for u in [0, 1]: Cephes's logf polynomial on the mantissa of 1 + u.
inline float fast_log1p(float u) {
  const float w = 1.0F + u;
  // 1 + u lies in [1, 2]; above √2 halve it.
  const bool high = w > 1.41421356F;
  const float m = (high ? 0.5F * w : w) - 1.0F;
  // What rounding 1 + u lost, to first order.
  const float lost = (u - (w - 1.0F)) / w;
  const float z = m * m;
  float p = 7.0376836292e-2F;
  p = p * m - 1.1514610310e-1F;
  p = p * m + 1.1676998740e-1F;
  p = p * m - 1.2420140846e-1F;
  p = p * m + 1.4249322787e-1F;
  p = p * m - 1.6668057665e-1F;
  p = p * m + 2.0000714765e-1F;
  p = p * m - 2.4999993993e-1F;
  p = p * m + 3.3333331174e-1F;
  const float l = p * m * z - 0.5F * z + m;
  return l + (high ? 0.693147180559945F : 0.0F) + lost;
}

inline float fast_sigmoid(float x) {
  return 1.0F / (1.0F + fast_exp(-x));
}

inline float fast_tanh(float x) {
  const float a = __builtin_fabsf(x);
  const float e = fast_exp(-2.0F * a);
  const float large = (1.0F - e) / (1.0F + e);
  const float s = x * x;
  // The series of tanh; below 0.2 its next term is beyond fp32.
  const float small =
      a * (1.0F +
           s * (-1.0F / 3.0F + s * (2.0F / 15.0F + s * (-17.0F / 315.0F + s * 62.0F / 2835.0F))));
  return __builtin_copysignf(a < 0.2F ? small : large, x);
}

template <Activation kind>
inline float apply(float z) {
  if constexpr (kind == A::kLinear) return z;
  // Written so that NaN goes through: a loss that is no number must show.
  if constexpr (kind == A::kRelu) return z < 0 ? 0.0F : z;
  if constexpr (kind == A::kElu) {
    const float e = fast_expm1_negative(z < 0 ? z : 0.0F);
    return z < 0 ? e : z;
  }
  if constexpr (kind == A::kSelu) {
    const float e = kSeluAlphaF * fast_expm1_negative(z < 0 ? z : 0.0F);
    return kSeluScaleF * (z < 0 ? e : z);
  }
  if constexpr (kind == A::kGelu)
    return 0.5F * z * (1.0F + __builtin_erff(z * 0.70710678118654752F));
  if constexpr (kind == A::kTanh) return fast_tanh(z);
  if constexpr (kind == A::kSigmoid) return fast_sigmoid(z);
  if constexpr (kind == A::kHardSigmoid) {
    const float y = z * (1.0F / 6.0F) + 0.5F;
    const float low = y < 0 ? 0.0F : y;
    return low > 1 ? 1.0F : low;
  }
  if constexpr (kind == A::kSoftplus) {
    const float e = fast_exp(-__builtin_fabsf(z));
    return (z > 0 ? z : 0.0F) + fast_log1p(e);
  }
  if constexpr (kind == A::kSoftsign) return z / (1.0F + __builtin_fabsf(z));
  if constexpr (kind == A::kExponential) return z > 88.7F ? __builtin_expf(z) : fast_exp(z);
  if constexpr (kind == A::kSilu) return z * fast_sigmoid(z);
  if constexpr (kind == A::kLeakyRelu) return z > 0 ? z : kLeakyF * z;
}

/// act'(z)
template <Activation kind>
inline float slope(float z) {
  if constexpr (kind == A::kLinear) return 1.0F;
  if constexpr (kind == A::kRelu) return z > 0 ? 1.0F : 0.0F;
  if constexpr (kind == A::kElu) return fast_exp(z < 0 ? z : 0.0F);
  if constexpr (kind == A::kSelu) {
    const float e = kSeluScaleF * kSeluAlphaF * fast_exp(z < 0 ? z : 0.0F);
    return z > 0 ? kSeluScaleF : e;
  }
  if constexpr (kind == A::kGelu) {
    const float cdf = 0.5F * (1.0F + __builtin_erff(z * 0.70710678118654752F));
    return cdf + z * 0.39894228040143268F * fast_exp(-0.5F * z * z);
  }
  if constexpr (kind == A::kTanh) {
    const float y = fast_tanh(z);
    return 1.0F - y * y;
  }
  if constexpr (kind == A::kSigmoid) {
    const float y = fast_sigmoid(z);
    return y * (1.0F - y);
  }
  if constexpr (kind == A::kHardSigmoid) return z > -3.0F && z < 3.0F ? 1.0F / 6.0F : 0.0F;
  if constexpr (kind == A::kSoftplus) return fast_sigmoid(z);
  if constexpr (kind == A::kSoftsign) {
    const float d = 1.0F + __builtin_fabsf(z);
    return 1.0F / (d * d);
  }
  if constexpr (kind == A::kExponential) return apply<A::kExponential>(z);
  if constexpr (kind == A::kSilu) {
    const float s = fast_sigmoid(z);
    return s * (1.0F + z * (1.0F - s));
  }
  if constexpr (kind == A::kLeakyRelu) return z > 0 ? 1.0F : kLeakyF;
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

inline float load(const float* p) {
  return *p;
}
inline float load(const Bf16* p) {
  return bits_to_float(static_cast<int32_t>(static_cast<uint32_t>(*p) << 16));
}

inline void put(float* p, float value) {
  *p = value;
}
inline void put(Bf16* p, float value) {
  const auto bits = static_cast<uint32_t>(float_to_bits(value));
  const uint32_t rounded = (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
  // Rounding must not turn a NaN into an infinity.
  *p = static_cast<Bf16>(static_cast<uint16_t>(value != value ? 0x7fc0U : rounded));
}

// Loops go by blocks of a length that the compiler knows: periods are often as short, and a loop of
// unknown length costs more to enter than they take. Sums stay in registers for a block.
constexpr int64_t kBlock = 32;

inline void put_block(float* to, const float* values) {
#pragma GCC ivdep
  for (int64_t i = 0; i < kBlock; ++i) to[i] = values[i];
}
inline void put_block(Bf16* to, const float* values) {
#ifdef __AVX512BF16__
  const __m512bh narrow =
      _mm512_cvtne2ps_pbh(_mm512_loadu_ps(values + 16), _mm512_loadu_ps(values));
  __builtin_memcpy(to, &narrow, sizeof narrow);
#else
#pragma GCC ivdep
  for (int64_t i = 0; i < kBlock; ++i) put(to + i, values[i]);
#endif
}

/// out[i] = value(i) for i < n. value(i) may read out[i].
template <typename O, typename Value>
inline void fill(O* out, int64_t n, Value value) {
  int64_t i = 0;
  for (; i + kBlock <= n; i += kBlock) {
    float block[kBlock];
#pragma GCC ivdep
    for (int64_t j = 0; j < kBlock; ++j) block[j] = value(i + j);
    put_block(out + i, block);
  }
#pragma GCC ivdep
  for (int64_t j = i; j < n; ++j) put(out + j, value(j));
}

template <typename T, typename O>
void affine_activate(const T* x, O* y, int64_t n, const float* scale, const float* shift,
                     int64_t period, Activation activation) {
  dispatch(activation, [&]<Activation kind>() {
    for (int64_t row = 0; row < n; row += period) {
      const int64_t count = n - row < period ? n - row : period;
      const T* xr = x + row;
      fill(y + row, count,
           [&](int64_t c) { return apply<kind>(load(xr + c) * scale[c] + shift[c]); });
    }
  });
}

template <typename T>
void norm_backward_sums(const T* x, const float* dy, int64_t n, const float* scale,
                        const float* shift, const float* center, int64_t period,
                        Activation activation, float* s1, float* s2) {
  dispatch(activation, [&]<Activation kind>() {
    const int64_t whole = n / period * period;
    int64_t c0 = 0;
    for (; c0 + kBlock <= period; c0 += kBlock) {
      float a1[kBlock] = {};
      float a2[kBlock] = {};
      for (int64_t row = 0; row < whole; row += period) {
        const T* xr = x + row + c0;
        const float* dr = dy + row + c0;
#pragma GCC unroll 4
        for (int64_t c = 0; c < kBlock; ++c) {
          const float value = load(xr + c);
          const float dz = dr[c] * slope<kind>(value * scale[c0 + c] + shift[c0 + c]);
          a1[c] += dz;
          a2[c] += dz * (value - center[c0 + c]);
        }
      }
      for (int64_t c = 0; c < kBlock; ++c) {
        s1[c0 + c] += a1[c];
        s2[c0 + c] += a2[c];
      }
    }
    const auto rest = [&](int64_t from, int64_t to, int64_t first, int64_t last) {
      for (int64_t row = from; row < to; row += period) {
#pragma GCC ivdep
        for (int64_t c = first; c < last; ++c) {
          const float value = load(x + row + c);
          const float dz = dy[row + c] * slope<kind>(value * scale[c] + shift[c]);
          s1[c] += dz;
          s2[c] += dz * (value - center[c]);
        }
      }
    };
    if (c0 < period) rest(0, whole, c0, period);
    if (whole < n) rest(whole, n, 0, n - whole);
  });
}

template <typename T, typename O>
void norm_backward_apply(const T* x, const float* dy, O* dx, int64_t n, const float* scale,
                         const float* shift, const float* k1, const float* k2, const float* k3,
                         int64_t period, Activation activation) {
  dispatch(activation, [&]<Activation kind>() {
    for (int64_t row = 0; row < n; row += period) {
      const int64_t count = n - row < period ? n - row : period;
      const T* xr = x + row;
      const float* dr = dy + row;
      fill(dx + row, count, [&](int64_t c) {
        const float value = load(xr + c);
        const float dz = dr[c] * slope<kind>(value * scale[c] + shift[c]);
        return k1[c] * dz + (k2[c] * value + k3[c]);
      });
    }
  });
}

template <typename T>
void moments(const T* x, int64_t n, const float* center, int64_t period, float* s1, float* s2) {
  const int64_t whole = n / period * period;
  int64_t c0 = 0;
  for (; c0 + kBlock <= period; c0 += kBlock) {
    float a1[kBlock] = {};
    float a2[kBlock] = {};
    for (int64_t row = 0; row < whole; row += period) {
      const T* xr = x + row + c0;
#pragma GCC unroll 4
      for (int64_t c = 0; c < kBlock; ++c) {
        const float d = load(xr + c) - center[c0 + c];
        a1[c] += d;
        a2[c] += d * d;
      }
    }
    for (int64_t c = 0; c < kBlock; ++c) {
      s1[c0 + c] += a1[c];
      s2[c0 + c] += a2[c];
    }
  }
  const auto rest = [&](int64_t from, int64_t to, int64_t first, int64_t last) {
    for (int64_t row = from; row < to; row += period) {
#pragma GCC ivdep
      for (int64_t c = first; c < last; ++c) {
        const float d = load(x + row + c) - center[c];
        s1[c] += d;
        s2[c] += d * d;
      }
    }
  };
  if (c0 < period) rest(0, whole, c0, period);
  if (whole < n) rest(whole, n, 0, n - whole);
}

template <typename T>
void add_four(const float* a, const float* b, T* out, int64_t n, int64_t shift) {
  fill(out, n, [&](int64_t i) { return a[i] + a[i + shift] + b[i] + b[i + shift]; });
}

template <typename T>
void store(const float* x, T* y, int64_t n) {
  fill(y, n, [&](int64_t i) { return x[i]; });
}

void pair_up(const Bf16* a, const Bf16* b, Bf16Pair* out, int64_t n) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    out[i] = static_cast<Bf16Pair>(static_cast<uint32_t>(a[i]) | static_cast<uint32_t>(b[i]) << 16);
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

void scale_bytes(const uint8_t* bytes, float* out, int64_t width, int64_t channels, bool reverse) {
  const int64_t n = width * channels;
  if (!reverse) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) out[i] = static_cast<float>(bytes[i]) / 255.0F;
    return;
  }
  for (int64_t x = 0; x < width; ++x) {
    for (int64_t c = 0; c < channels; ++c) {
      out[x * channels + c] = static_cast<float>(bytes[(width - 1 - x) * channels + c]) / 255.0F;
    }
  }
}

/// As integers, the magnitudes of infinities and NaNs are above all others.
inline int32_t magnitude(float x) {
  return float_to_bits(x) & 0x7fffffff;
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
                         affine_activate<T, T>,
                         affine_activate<T, float>,
                         norm_backward_sums<T>,
                         norm_backward_apply<T, T>,
                         norm_backward_apply<T, float>,
                         moments<T>,
                         add_four<T>,
                         store<T>};
  if constexpr (Multiplies<T>::value) {
    set.convolve = convolve<T, T>;
    set.convolve_wide = convolve<T, float>;
    set.add_weight_gradient = add_weight_gradient<T>;
  }
  return set;
}

constexpr Kernels make_kernels(const char* name) {
  return {name,
          kLanes,
          make_value_kernels<float>(),
          make_value_kernels<Bf16>(),
          pair_up,
          average_rows,
          add,
          bce,
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
