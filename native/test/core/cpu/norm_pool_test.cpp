#include "core/cpu/norm_pool.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <string>
#include <tuple>

#include "core/layers/activation.h"
#include "core/tensor/scratch_buffer.h"

namespace flexae {
namespace {

constexpr int64_t kImages = 5;
constexpr double kEpsilon = 1e-3;

/// N×H×W×C in fp64, as ATen has it.
at::Tensor wide(const at::Tensor& pixels) {
  return pixels.permute({0, 3, 1, 2}).to(at::kDouble).contiguous();
}

at::Tensor pool(const at::Tensor& x, Pooling kind) {
  if (kind == Pooling::kAvg) return at::avg_pool2d(x, {2, 2}, {2, 2}, {0, 0}, true, false);
  if (kind == Pooling::kMax) return at::max_pool2d(x, {2, 2}, {2, 2}, {0, 0}, {1, 1}, true);
  return x;
}

at::Tensor pool_backward(const at::Tensor& grad, const at::Tensor& x, Pooling kind) {
  if (kind == Pooling::kAvg) {
    return at::avg_pool2d_backward(grad, x, {2, 2}, {2, 2}, {0, 0}, true, false, std::nullopt);
  }
  if (kind == Pooling::kMax) {
    const at::Tensor indices =
        std::get<1>(at::max_pool2d_with_indices(x, {2, 2}, {2, 2}, {0, 0}, {1, 1}, true));
    return at::max_pool2d_with_indices_backward(grad, x, {2, 2}, {2, 2}, {0, 0}, {1, 1}, true,
                                                indices);
  }
  return grad;
}

void compare(const Shape& raw_shape, Pooling pooling, Activation activation) {
  SCOPED_TRACE(std::to_string(raw_shape.c) + " channels, pooling " +
               std::to_string(static_cast<int>(pooling)) + ", activation " +
               std::to_string(static_cast<int>(activation)));
  at::manual_seed(9);
  ModelConfig config;
  config.batch_norm_epsilon = kEpsilon;
  config.batch_norm_momentum = 0.9;
  const bool pools = pooling != Pooling::kNone;
  const Shape out{raw_shape.c, pools ? (raw_shape.h + 1) / 2 : raw_shape.h,
                  pools ? (raw_shape.w + 1) / 2 : raw_shape.w};
  const int64_t c = raw_shape.c;
  const at::Tensor raw = at::randn({kImages, raw_shape.h, raw_shape.w, c});
  const NormTensors tensors{at::randn({c}), at::rand({c}) + 0.5, at::randn({c}), at::zeros({c}),
                            at::ones({c})};
  NormPool<float> norm_pool(raw_shape, out, pooling, config, activation);
  norm_pool.prepare(at::get_num_threads());
  norm_pool.begin_forward(kImages);
  for (int64_t n = 0; n < kImages; ++n) {
    norm_pool.add_moments(values<float>(raw) + n * raw_shape.numel(), n, 0);
  }
  const at::Tensor y = norm_pool.end_forward(raw, tensors).materialize();

  const at::Tensor x = wide(raw);
  const at::Tensor gamma = tensors.gamma.to(at::kDouble);
  const at::Tensor beta = tensors.beta.to(at::kDouble);
  const auto [z, mean, invstd] =
      at::native_batch_norm(x, gamma, beta, {}, {}, /*training=*/true, 0.0, kEpsilon);
  const at::Tensor active = activate(z, activation);
  EXPECT_TRUE(at::allclose(y.to(at::kDouble), pool(active, pooling), 1e-4, 1e-5));

  const at::Tensor dy = at::randn({kImages, out.h, out.w, c});
  const BatchStats::Gradients gradients = norm_pool.begin_backward(dy, tensors.gamma);
  at::Tensor dx = at::empty_like(raw);
  for (int64_t n = 0; n < kImages; ++n) {
    norm_pool.raw_gradient(dy, n, mutable_values<float>(dx) + n * raw_shape.numel(),
                           raw_shape.w * c, 0);
  }
  const at::Tensor da = pool_backward(wide(dy), active, pooling);
  const at::Tensor dz = activate_backward(da, z, active, activation);
  const auto [expected_dx, dgamma, dbeta] = at::native_batch_norm_backward(
      dz, x, gamma, {}, {}, mean, invstd, /*train=*/true, kEpsilon, {true, true, true});
  EXPECT_TRUE(at::allclose(gradients.gamma.to(at::kDouble), dgamma, 1e-4, 1e-4));
  EXPECT_TRUE(at::allclose(gradients.beta.to(at::kDouble), dbeta, 1e-4, 1e-4));
  EXPECT_TRUE(at::allclose(wide(dx), expected_dx, 1e-3, 2e-5));
}

TEST(NormPool, IsAtensNormalizationActivationAndPooling) {
  for (const Pooling pooling : {Pooling::kNone, Pooling::kAvg, Pooling::kMax}) {
    for (const Activation activation :
         {Activation::kLinear, Activation::kElu, Activation::kGelu, Activation::kSilu}) {
      compare({32, 6, 8}, pooling, activation);
      compare({5, 7, 9}, pooling, activation);
    }
  }
}

TEST(NormPool, InEvaluationGoesByTheMovingStatistics) {
  at::manual_seed(10);
  const Shape raw_shape{5, 4, 6};
  const Shape out{5, 2, 3};
  ModelConfig config;
  config.batch_norm_epsilon = kEpsilon;
  const NormTensors tensors{at::randn({5}), at::rand({5}) + 0.5, at::randn({5}), at::randn({5}),
                            at::rand({5}) + 0.5};
  NormPool<float> norm_pool(raw_shape, out, Pooling::kAvg, config, Activation::kTanh);
  norm_pool.prepare(at::get_num_threads());
  norm_pool.prepare_inference(tensors);
  const at::Tensor raw = at::randn({1, 4, 6, 5});
  // The convolution's bias is left out of what it gives.
  const at::Tensor x = wide(raw) + tensors.bias.to(at::kDouble).view({1, 5, 1, 1});
  const at::Tensor z = std::get<0>(at::native_batch_norm(
      x, tensors.gamma.to(at::kDouble), tensors.beta.to(at::kDouble),
      tensors.moving_mean.to(at::kDouble), tensors.moving_variance.to(at::kDouble),
      /*training=*/false, 0.0, kEpsilon));
  at::Tensor y = at::empty({1, 2, 3, 5});
  at::Tensor rows = raw.clone();
  for (int64_t row = 0; row < 2; ++row) {
    norm_pool.pool_row(mutable_values<float>(rows) + 2 * row * 6 * 5, row,
                       mutable_values<float>(y) + row * 3 * 5);
  }
  EXPECT_TRUE(
      at::allclose(wide(y), pool(activate(z, Activation::kTanh), Pooling::kAvg), 1e-5, 1e-5));
}

}  // namespace
}  // namespace flexae
