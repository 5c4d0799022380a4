#include "core/cuda/norm.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>
#include <tuple>
#include <vector>

#include "core/base/math.h"
#include "core/cuda/host_threads.h"
#include "core/cuda/runtime.h"
#include "core/layers/activation.h"

// The kernels of norm.cu.h as plain C++, for some of what they are made for.

namespace flexae::cuda {
namespace {

#define STORAGE_BF16 0
#define VECTOR 4
#define ACTIVATION 2
#define POOLING 1
namespace fp32_elu_mean {
#include "core/cuda/kernels/common.cu.h"
#include "core/cuda/kernels/norm.cu.h"
}  // namespace fp32_elu_mean
#undef EXPONENTIAL
#undef EXPONENTIAL_LESS_1
#undef VECTOR
#undef ACTIVATION
#undef POOLING

#define VECTOR 1
#define ACTIVATION 4
#define POOLING 2
namespace fp32_gelu_maximum {
#include "core/cuda/kernels/common.cu.h"
#include "core/cuda/kernels/norm.cu.h"
}  // namespace fp32_gelu_maximum
#undef EXPONENTIAL
#undef EXPONENTIAL_LESS_1
#undef VECTOR
#undef ACTIVATION
#undef POOLING
#undef STORAGE_BF16

#define STORAGE_BF16 1
#define VECTOR 8
#define ACTIVATION 1
#define POOLING 0
namespace bf16_relu {
#include "core/cuda/kernels/common.cu.h"
#include "core/cuda/kernels/norm.cu.h"
}  // namespace bf16_relu
#undef EXPONENTIAL
#undef EXPONENTIAL_LESS_1
#undef VECTOR
#undef ACTIVATION
#undef POOLING

#define VECTOR 8
#define ACTIVATION 11
#define POOLING 2
namespace bf16_silu_maximum {
#include "core/cuda/kernels/common.cu.h"
#include "core/cuda/kernels/norm.cu.h"
}  // namespace bf16_silu_maximum
#undef EXPONENTIAL
#undef EXPONENTIAL_LESS_1
#undef VECTOR
#undef ACTIVATION
#undef POOLING
#undef STORAGE_BF16

using host_threads::launch;

double distance(const at::Tensor& got, const at::Tensor& expected) {
  return ((got.to(at::kDouble) - expected).norm() / expected.norm()).item<double>();
}

struct Case {
  int64_t n, h, w, c;
  int64_t more = 0;  ///< Lines and columns of the images that x is a part of.
};

/// What ATen computes in fp64 with the same numbers.
struct Reference {
  at::Tensor y, dx, d_gamma, d_beta, mean, variance;
};

Reference reference(const at::Tensor& x, const at::Tensor& gamma, const at::Tensor& beta,
                    const at::Tensor& grad, double epsilon, Activation activation,
                    Pooling pooling) {
  const at::Tensor wide = x.to(at::kDouble);
  const at::Tensor g = gamma.to(at::kDouble);
  auto [v, mean, inverse] =
      at::native_batch_norm(wide, g, beta.to(at::kDouble), {}, {}, true, 0.0, epsilon);
  const at::Tensor a = activate(v, activation);
  Reference r;
  at::Tensor da = grad.to(at::kDouble);
  if (pooling == Pooling::kAvg) {
    r.y = at::avg_pool2d(a, {2, 2}, {2, 2}, {0, 0}, true, false);
    da = at::avg_pool2d_backward(da, a, {2, 2}, {2, 2}, {0, 0}, true, false, std::nullopt);
  } else if (pooling == Pooling::kMax) {
    at::Tensor indices;
    std::tie(r.y, indices) = at::max_pool2d_with_indices(a, {2, 2}, {2, 2}, {0, 0}, {1, 1}, true);
    da = at::max_pool2d_with_indices_backward(da, a, {2, 2}, {2, 2}, {0, 0}, {1, 1}, true, indices);
  } else {
    r.y = a;
  }
  const at::Tensor dv = activate_backward(da, v, a, activation);
  std::tie(r.dx, r.d_gamma, r.d_beta) = at::native_batch_norm_backward(
      dv, wide, g, {}, {}, mean, inverse, true, epsilon, {true, true, true});
  r.mean = mean;
  r.variance = inverse.pow(-2) - epsilon;
  return r;
}

at::Tensor poisoned(at::IntArrayRef sizes, at::ScalarType type, bool map) {
  at::Tensor t = at::full(sizes, std::numeric_limits<double>::quiet_NaN(), type);
  return map ? t.contiguous(at::MemoryFormat::ChannelsLast) : t;
}

#define COMPARE(space, vector, act, pool, type, bound)                                             \
  [](const Case& k) {                                                                              \
    SCOPED_TRACE(#space);                                                                          \
    const double epsilon = 1e-3;                                                                   \
    const int64_t oh = (pool) == Pooling::kNone ? k.h : ceil_div(k.h, int64_t{2});                 \
    const int64_t ow = (pool) == Pooling::kNone ? k.w : ceil_div(k.w, int64_t{2});                 \
    const auto part = [&](const at::Tensor& t) { return t.slice(2, 0, k.h).slice(3, 0, k.w); };    \
    const at::Tensor larger = (at::randn({k.n, k.h + k.more, k.w + k.more, k.c}) * 2 + 5)          \
                                  .permute({0, 3, 1, 2})                                           \
                                  .to(type);                                                       \
    const at::Tensor x = part(larger);                                                             \
    const auto pitch = static_cast<int>(k.w + k.more);                                             \
    const int64_t image = (k.h + k.more) * (k.w + k.more);                                         \
    const at::Tensor grad = at::randn({k.n, oh, ow, k.c}).permute({0, 3, 1, 2}).to(type);          \
    const at::Tensor gamma = at::rand({k.c}) + 0.5;                                                \
    const at::Tensor beta = at::randn({k.c});                                                      \
    const at::Tensor bias = at::randn({k.c});                                                      \
    const Reference expected = reference(x, gamma, beta, grad, epsilon, act, pool);                \
    at::Tensor mean = at::zeros({k.c});                                                            \
    at::Tensor variance = at::ones({k.c});                                                         \
    const int64_t pixels = k.n * k.h * k.w;                                                        \
    const int64_t outputs = k.n * oh * ow;                                                         \
    const auto c = static_cast<int>(k.c);                                                          \
    const auto dims = [](std::array<unsigned, 3> g) {                                              \
      return host_threads::Dim3{g[0], g[1], g[2]};                                                 \
    };                                                                                             \
    const auto in = NormLaunch::grid(pixels, k.c, vector);                                         \
    const auto out = NormLaunch::grid(outputs, k.c, vector);                                       \
    const host_threads::Dim3 finish{static_cast<unsigned>(ceil_div(k.c, int64_t{32})), 1, 1};      \
    const at::Tensor partials = poisoned({std::max(in[0], out[0]), 2, k.c}, at::kFloat, false);    \
    const at::Tensor stats = poisoned({4, k.c}, at::kFloat, false);                                \
    const at::Tensor factors = poisoned({3, k.c}, at::kFloat, false);                              \
    const at::Tensor y = poisoned(grad.sizes(), type, true);                                       \
    const at::Tensor whole = poisoned(larger.sizes(), type, true);                                 \
    const at::Tensor dx = part(whole);                                                             \
    const at::Tensor d_gamma = poisoned({k.c}, at::kFloat, false);                                 \
    const at::Tensor d_beta = poisoned({k.c}, at::kFloat, false);                                  \
    const auto f = [](const at::Tensor& t) { return t.data_ptr<float>(); };                        \
    const auto s = [](const at::Tensor& t) { return static_cast<space::storage*>(t.data_ptr()); }; \
    launch(dims(in), 256, [&] {                                                                    \
      space::moments(s(x), pixels, static_cast<int>(k.h), static_cast<int>(k.w), pitch, image, c,  \
                     f(partials));                                                                 \
    });                                                                                            \
    launch(finish, 256, [&] {                                                                      \
      space::finish_moments(s(x), f(partials), static_cast<int>(in[0]), pixels, c, f(gamma),       \
                            f(beta), f(bias), 1e-3F, 0.25F, f(mean), f(variance), f(stats));       \
    });                                                                                            \
    launch(dims(out), 256, [&] {                                                                   \
      space::norm_forward(s(x), f(stats), s(y), outputs, static_cast<int>(k.h),                    \
                          static_cast<int>(k.w), pitch, image, static_cast<int>(oh),               \
                          static_cast<int>(ow), c);                                                \
    });                                                                                            \
    launch(dims(out), 256, [&] {                                                                   \
      space::norm_backward_sums(s(x), f(stats), s(grad), f(partials), outputs,                     \
                                static_cast<int>(k.h), static_cast<int>(k.w), pitch, image,        \
                                static_cast<int>(oh), static_cast<int>(ow), c);                    \
    });                                                                                            \
    launch(finish, 256, [&] {                                                                      \
      space::finish_backward(f(partials), static_cast<int>(out[0]), pixels, c, f(stats),           \
                             f(d_gamma), f(d_beta), f(factors));                                   \
    });                                                                                            \
    launch(dims(out), 256, [&] {                                                                   \
      space::norm_backward(s(x), f(stats), f(factors), s(grad), s(dx), outputs,                    \
                           static_cast<int>(k.h), static_cast<int>(k.w), pitch, image,             \
                           static_cast<int>(oh), static_cast<int>(ow), c);                         \
    });                                                                                            \
    EXPECT_LT(distance(y, expected.y), bound);                                                     \
    EXPECT_LT(distance(dx, expected.dx), bound);                                                   \
    EXPECT_LT(distance(d_gamma, expected.d_gamma), 1e-4);                                          \
    EXPECT_LT(distance(d_beta, expected.d_beta), 1e-4);                                            \
    EXPECT_LT(distance(mean, 0.25 * (expected.mean + bias)), 1e-5);                                \
    EXPECT_LT(distance(variance, 0.75 + 0.25 * expected.variance), 1e-5);                          \
  }

TEST(NormKernels, ComputeWhatAtenComputesInFp64) {
  at::manual_seed(1);
  const auto elu = COMPARE(fp32_elu_mean, 4, Activation::kElu, Pooling::kAvg, at::kFloat, 1e-5);
  elu({3, 9, 6, 20});
  elu({1, 7, 5, 4});
  elu({3, 5, 4, 8, 1});
  const auto gelu =
      COMPARE(fp32_gelu_maximum, 1, Activation::kGelu, Pooling::kMax, at::kFloat, 1e-5);
  gelu({2, 7, 8, 3});
  gelu({2, 3, 3, 300});
  const auto relu = COMPARE(bf16_relu, 8, Activation::kRelu, Pooling::kNone, at::kBFloat16, 4e-3);
  relu({4, 16, 16, 32});
  relu({40, 1, 1, 24});
  relu({3, 8, 10, 16, 1});
  const auto silu =
      COMPARE(bf16_silu_maximum, 8, Activation::kSilu, Pooling::kMax, at::kBFloat16, 4e-3);
  silu({2, 9, 10, 16});
}

}  // namespace
}  // namespace flexae::cuda
