#include "core/cpu/batch_stats.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace flexae {
namespace {

/// Images of 5 channels, which do not fill registers, around a mean that is large beside what they
/// differ by.
class BatchStatsTest : public testing::Test {
 protected:
  static constexpr int64_t kImages = 7;
  const Shape shape{5, 6, 4};

  BatchStatsTest() {
    at::manual_seed(5);
    raw = at::randn({kImages, shape.h, shape.w, shape.c}) + 300;
    config.batch_norm_momentum = 0.9;
    config.batch_norm_epsilon = 1e-3;
    tensors = {at::randn({shape.c}), at::rand({shape.c}) + 0.5, at::randn({shape.c}),
               at::randn({shape.c}), at::rand({shape.c})};
    stats = BatchStats(shape, config, Activation::kRelu);
  }

  std::shared_ptr<const DeferredBatchNorm> forward() {
    stats.begin_forward(kImages);
    // In any order.
    for (const int64_t n : {3, 0, 6, 1, 5, 2, 4}) {
      stats.add_moments(values<float>(raw) + n * shape.numel(), n, memory);
    }
    return stats.end_forward(tensors);
  }
  at::Tensor channels(const std::vector<float>& periodic) const {
    EXPECT_EQ(static_cast<int64_t>(periodic.size()), stats.period());
    const at::Tensor all = at::tensor(periodic).view({-1, shape.c});
    EXPECT_TRUE(all.eq(all[0]).all().item<bool>());
    return all[0].to(at::kDouble);
  }
  static void expect_close(const at::Tensor& got, const at::Tensor& expected, double tolerance) {
    const at::Tensor error = (got.to(at::kDouble) - expected.to(at::kDouble)).abs();
    EXPECT_LT(error.max().item<double>(), tolerance) << got << expected;
  }

  ModelConfig config;
  at::Tensor raw;
  NormTensors tensors;
  BatchStats stats;
  ScratchBuffer<float> memory;
};

TEST_F(BatchStatsTest, NormalizesByTheBatch) {
  const at::Tensor x = raw.to(at::kDouble).view({-1, shape.c});
  const at::Tensor mean = x.mean(0);
  const at::Tensor variance = x.var(0, /*unbiased=*/false);
  const at::Tensor moving_mean =
      tensors.moving_mean.to(at::kDouble) * 0.9 + (mean + tensors.bias) * 0.1;
  const at::Tensor moving_variance = tensors.moving_variance.to(at::kDouble) * 0.9 + variance * 0.1;
  const auto norm = forward();
  EXPECT_EQ(norm->activation, Activation::kRelu);
  const at::Tensor scale = tensors.gamma.to(at::kDouble) / (variance + 1e-3).sqrt();
  expect_close(channels(norm->scale), scale, 1e-5);
  expect_close(channels(norm->shift), tensors.beta - mean * scale, 5e-3);
  expect_close(tensors.moving_mean, moving_mean, 1e-4);
  expect_close(tensors.moving_variance, moving_variance, 1e-5);
}

TEST_F(BatchStatsTest, NormalizesByTheMovingStatistics) {
  const auto norm = stats.moving_norm(tensors);
  const at::Tensor scale =
      tensors.gamma.to(at::kDouble) / (tensors.moving_variance.to(at::kDouble) + 1e-3).sqrt();
  expect_close(channels(norm->scale), scale, 1e-5);
  expect_close(channels(norm->shift),
               tensors.beta + (tensors.bias - tensors.moving_mean).to(at::kDouble) * scale, 1e-5);
}

TEST_F(BatchStatsTest, GivesTheGradientsThatAtenGives) {
  forward();
  const at::Tensor dz = at::randn({kImages, shape.h, shape.w, shape.c});
  stats.begin_backward();
  const at::Tensor center = at::from_blob(const_cast<float*>(stats.center()), {shape.c}).clone();
  for (const int64_t n : {1, 4, 0, 2, 6, 5, 3}) {
    const BatchStats::Sums sums = stats.zero_sums(memory);
    const at::Tensor g = dz[n].view({-1, shape.c});
    const at::Tensor gx = g * (raw[n].view({-1, shape.c}) - center);
    at::from_blob(sums.dz, {shape.c}).copy_(g.sum(0));
    at::from_blob(sums.dz_x, {shape.c}).copy_(gx.sum(0));
    stats.add_sums(sums, n);
  }
  const BatchStats::Gradients got = stats.end_backward(tensors.gamma);

  const at::Tensor x = raw.to(at::kDouble).view({-1, shape.c});
  const at::Tensor invstd = (x.var(0, /*unbiased=*/false) + 1e-3).rsqrt();
  const auto [dx, dgamma, dbeta] = at::native_batch_norm_backward(
      dz.to(at::kDouble).view({-1, shape.c}), x, tensors.gamma.to(at::kDouble), {}, {}, x.mean(0),
      invstd, /*train=*/true, 1e-3, {true, true, true});
  expect_close(got.gamma, dgamma, 1e-3);
  expect_close(got.beta, dbeta, 1e-3);
  const auto per_channel = [&](const float* periodic) {
    return at::from_blob(const_cast<float*>(periodic), {shape.c}).to(at::kDouble);
  };
  const at::Tensor by_hand = per_channel(stats.dx_scale()) * dz.view({-1, shape.c}) +
                             per_channel(stats.dx_slope()) * x + per_channel(stats.dx_offset());
  expect_close(by_hand, dx, 1e-3);
}

}  // namespace
}  // namespace flexae
