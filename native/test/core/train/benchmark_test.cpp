#include "core/train/benchmark.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/base/error.h"
#include "core/train/synthetic.h"

namespace flexae {
namespace {

TrainerConfig small_config() {
  TrainerConfig config;
  config.model.height = 20;
  config.model.width = 12;
  config.model.channels = 3;
  config.model.filters = {4, 6};
  config.model.pooling = {Pooling::kAvg, Pooling::kNone};
  config.model.kernel_size = {3, 3};
  config.model.strides = {2, 1};
  config.model.dims = {8};
  config.model.drop_rate = 0;
  config.optimizer = OptimizerKind::kAdam;
  config.learning_rate = 0.01;
  config.batch_size = 4;
  config.device = "cpu";
  config.precision = "fp32";
  config.threads = 1;
  return config;
}

TEST(Synthetic, ImagesFollowFromTheSeed) {
  const at::Tensor images = synthetic_images(3, 24, 40, 3, 5);
  EXPECT_EQ(images.scalar_type(), at::kByte);
  EXPECT_EQ(images.sizes(), (std::vector<int64_t>{3, 24, 40, 3}));
  EXPECT_TRUE(images.equal(synthetic_images(3, 24, 40, 3, 5)));
  EXPECT_FALSE(images.equal(synthetic_images(3, 24, 40, 3, 6)));
  EXPECT_FALSE(images[0].equal(images[1]));
  // More images continue the same ones.
  EXPECT_TRUE(images.equal(synthetic_images(5, 24, 40, 3, 5).slice(0, 0, 3)));
}

TEST(Synthetic, ImagesHaveStructureAndNotOnlyNoise) {
  const at::Tensor images = synthetic_images(8, 64, 64, 1, 1).to(at::kDouble);
  const double deviation = images.std().item<double>();
  EXPECT_GT(deviation, 20);
  const at::Tensor steps = images.slice(2, 1) - images.slice(2, 0, -1);
  // Of noise, neighbours would differ by √2 deviations.
  EXPECT_LT(steps.std().item<double>(), 0.5 * deviation);
}

TEST(Benchmark, TimesEachStepAndTrains) {
  Benchmark bench(small_config());
  EXPECT_TRUE(std::isnan(bench.loss()));
  const std::vector<double> first = bench.train(2);
  ASSERT_EQ(first.size(), 2U);
  for (const double ms : first) EXPECT_GT(ms, 0);
  const double before = bench.loss();
  EXPECT_EQ(bench.train(80).size(), 80U);
  bench.train(2);
  EXPECT_LT(bench.loss(), before);
  EXPECT_EQ(bench.encode(3).size(), 3U);
}

TEST(Benchmark, TakesTheImagesItIsGiven) {
  const at::Tensor images = synthetic_images(9, 20, 12, 3, 2);
  Benchmark bench(small_config(), images);
  EXPECT_TRUE(bench.images().equal(images));
  EXPECT_EQ(bench.train(5).size(), 5U);
}

TEST(Benchmark, RefusesImagesThatDoNotFit) {
  const TrainerConfig config = small_config();
  const auto code = [&](const at::Tensor& images) {
    try {
      const Benchmark bench(config, images);
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::kInternal;
  };
  EXPECT_EQ(code(synthetic_images(3, 20, 12, 3, 1)), ErrorCode::kConfig);
  EXPECT_EQ(code(synthetic_images(4, 12, 20, 3, 1)), ErrorCode::kConfig);
  EXPECT_EQ(code(synthetic_images(4, 20, 12, 3, 1).to(at::kFloat)), ErrorCode::kConfig);
}

}  // namespace
}  // namespace flexae
