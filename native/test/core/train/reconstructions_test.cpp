#include "core/train/reconstructions.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "core/model/loaded_model.h"
#include "test/core/temporary_folder.h"
#include "training_support.h"

namespace flexae {
namespace {

struct Watched {
  std::vector<EpochReport> epochs;
  std::vector<ReconstructionReport> made;
};

Watched watch(const TrainerConfig& config, std::vector<int64_t> unreadable = {}) {
  Squares train_set(30, config.model.height, 1);
  Squares valid_set(10, config.model.height, 2);
  valid_set.unreadable = std::move(unreadable);
  Recorder recorder;
  const std::atomic<bool> cancel{false};
  (void)train(config, train_set, valid_set, default_exporters(), recorder, cancel);
  return {recorder.epochs, recorder.reconstructions};
}

/// Images of Squares(10, side, 2) by their numbers, N×H×W×C.
at::Tensor squares(int64_t side, const std::vector<int64_t>& numbers) {
  Squares set(10, side, 2);
  set.start(numbers, 10);
  Batch batch;
  set.next(batch);
  return batch.images;
}

TEST(Reconstructions, ShowImagesFromAllOverTheSet) {
  TrainerConfig config = small_training();
  config.reconstructions = 3;
  const Watched all = watch(config);
  ASSERT_FALSE(all.made.empty());
  EXPECT_EQ(all.made[0].epoch, 1);
  EXPECT_EQ(all.made.back().epoch, 3);
  EXPECT_TRUE(at::equal(all.made[0].originals, squares(13, {1, 5, 8})));
  // The next ones stand in for those that cannot be read.
  const Watched some = watch(config, {1, 2, 8, 9});
  EXPECT_TRUE(at::equal(some.made[0].originals, squares(13, {3, 5})));
  config.reconstructions = 99;
  EXPECT_EQ(watch(config).made[0].originals.size(0), 10);
  config.reconstructions = 0;
  EXPECT_TRUE(watch(config).made.empty());
}

TEST(Reconstructions, AreWhatTheModelMakes) {
  const TemporaryFolder folder;
  TrainerConfig config = small_training();
  config.precision = "fp32";
  config.epochs = 1;
  config.run_dir = folder.path("");
  const Watched watched = watch(config);
  ASSERT_EQ(watched.made.size(), 1U);
  LoadedModel model(folder.path("ae.pt"), at::kCPU, /*trust=*/true, /*native=*/false);
  const at::Tensor images = watched.made[0].originals.permute({0, 3, 1, 2}).contiguous();
  const at::Tensor expected = model.reconstruct(images).mul(255).permute({0, 2, 3, 1});
  const at::Tensor made = watched.made[0].reconstructions.to(at::kFloat);
  EXPECT_LE(at::max(at::abs(made - expected)).item<float>(), 0.5F + 1e-2F);
}

TEST(Reconstructions, ChangeNothing) {
  TrainerConfig config = small_training();
  const Watched with = watch(config);
  config.reconstructions = 0;
  const Watched without = watch(config);
  ASSERT_EQ(with.epochs.size(), without.epochs.size());
  for (size_t i = 0; i < with.epochs.size(); ++i) {
    EXPECT_EQ(with.epochs[i].train.loss, without.epochs[i].train.loss);
    EXPECT_EQ(with.epochs[i].valid.loss, without.epochs[i].valid.loss);
  }
}

TEST(Reconstructions, AreSmallAndRare) {
  ModelConfig config;
  config.height = 384;
  config.width = 192;
  config.channels = 3;
  config.filters = {2};
  config.kernel_size = {3};
  config.strides = {2};
  config.pooling = {Pooling::kNone};
  config.dims = {2};
  Autoencoder model(config, 1, at::kCPU);
  Reconstructions reconstructions(2, 2);
  // Stripes of 3 rows: each pixel of the smaller picture is the mean of one black and two white.
  at::Tensor images = at::full({2, 384, 192, 3}, 255, at::kByte);
  images.slice(1, 0, 384, 3).fill_(0);
  reconstructions.offer(images, {0, 1});
  reconstructions.close();
  const auto first = reconstructions.after_epoch(1, false, model);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->originals.sizes(), (std::vector<int64_t>{2, 128, 64, 3}));
  EXPECT_TRUE(at::equal(first->originals, at::full({2, 128, 64, 3}, 170, at::kByte)));
  EXPECT_FALSE(reconstructions.after_epoch(2, false, model));
  EXPECT_TRUE(reconstructions.after_epoch(3, true, model));
}

}  // namespace
}  // namespace flexae
