#pragma once

// Loops of OptimizerKernels.

#include <cstdint>

#include "core/cpu/kernels/loops/simd.h"
#include "core/cpu/kernels/optimizers.h"

namespace flexae {
namespace {

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

constexpr OptimizerKernels make_optimizer_kernels() {
  return {
      .sgd = sgd,
      .adadelta = adadelta,
      .adam = adam,
      .rmsprop = rmsprop,
      .adagrad = adagrad,
      .adamax = adamax,
      .nadam = nadam,
  };
}

}  // namespace
}  // namespace flexae
