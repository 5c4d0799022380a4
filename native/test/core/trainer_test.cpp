#include "core/trainer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/random.h"
#include "core/safetensors.h"
#include "core/torchscript.h"
#include "temporary_folder.h"

namespace flexae {
namespace {

/// Images in memory: blurred random squares, so that there is something to learn.
class Squares : public BatchSource {
 public:
  Squares(int64_t count, int64_t side, uint64_t seed)
      : images_(at::zeros({count, side, side, 1}, at::kByte)) {
    for (int64_t i = 0; i < count; ++i) {
      const uint64_t bits = random_bits(seed, RandomPurpose::kSample, static_cast<uint64_t>(i));
      const auto y = static_cast<int64_t>(bits % static_cast<uint64_t>(side / 2));
      const auto x = static_cast<int64_t>((bits >> 20) % static_cast<uint64_t>(side / 2));
      images_[i].slice(0, y, y + side / 3).slice(1, x, x + side / 3).fill_(255);
    }
  }
  [[nodiscard]] int64_t size() const override { return images_.size(0); }
  void start(std::vector<int64_t> order, int64_t batch_size) override {
    order_ = std::move(order);
    orders.push_back(order_);
    batch_ = static_cast<size_t>(batch_size);
    position_ = 0;
  }
  bool next(Batch& batch) override {
    if (position_ >= order_.size()) return false;
    const size_t end = std::min(order_.size(), position_ + batch_);
    batch.indices.assign(order_.begin() + static_cast<ptrdiff_t>(position_),
                         order_.begin() + static_cast<ptrdiff_t>(end));
    batch.images = images_.index_select(0, at::tensor(batch.indices, at::kLong));
    position_ = end;
    return true;
  }
  std::vector<std::vector<int64_t>> orders;

 private:
  at::Tensor images_;
  std::vector<int64_t> order_;
  size_t batch_ = 1;
  size_t position_ = 0;
};

class Recorder : public TrainingObserver {
 public:
  void on_start(at::Device, Precision, int, int64_t) override {}
  void on_progress(const ProgressReport& report) override {
    if (progress) progress(report);
  }
  void on_epoch(const EpochReport& report) override { epochs.push_back(report); }
  void on_finishing(Stopped) override {}
  std::vector<EpochReport> epochs;
  std::function<void(const ProgressReport&)> progress;
};

TrainerConfig small() {
  TrainerConfig config;
  config.model.height = config.model.width = 13;
  config.model.filters = {4, 8};
  config.model.pooling = {Pooling::kMax, Pooling::kAvg};
  config.model.kernel_size = {3, 4};
  config.model.strides = {2, 1};
  config.model.dims = {16, 6};
  // The moving statistics follow within the few epochs of a test.
  config.model.batch_norm_momentum = 0.5;
  config.optimizer = OptimizerKind::kAdam;
  config.learning_rate = 0.005;
  config.epochs = 3;
  config.batch_size = 8;
  config.device = "cpu";
  config.config_json = R"({"x":1})";
  config.progress_interval_ms = 0;
  return config;
}

struct Outcome {
  TrainingResult result;
  std::vector<EpochReport> epochs;
  std::vector<std::vector<int64_t>> orders;
};

Outcome run(const TrainerConfig& config) {
  Squares train_set(30, config.model.height, 1);
  Squares valid_set(10, config.model.height, 2);
  Recorder recorder;
  const std::atomic<bool> cancel{false};
  Outcome outcome;
  outcome.result = train(config, train_set, valid_set, recorder, cancel);
  outcome.epochs = recorder.epochs;
  outcome.orders = train_set.orders;
  return outcome;
}

TEST(Trainer, LearnsAndRepeatsBitForBit) {
  TrainerConfig config = small();
  config.epochs = 12;
  const Outcome first = run(config);
  const Outcome second = run(config);
  ASSERT_EQ(first.epochs.size(), 12U);
  EXPECT_LT(first.epochs.back().train.loss, first.epochs.front().train.loss);
  for (size_t i = 0; i < first.epochs.size(); ++i) {
    EXPECT_EQ(first.epochs[i].train.loss, second.epochs[i].train.loss);
    EXPECT_EQ(first.epochs[i].valid.loss, second.epochs[i].valid.loss);
  }
  config.seed = 2;
  EXPECT_NE(run(config).epochs[0].train.loss, first.epochs[0].train.loss);
}

TEST(Trainer, ShufflesEachEpochAnew) {
  const auto orders = run(small()).orders;
  ASSERT_GE(orders.size(), 3U);
  EXPECT_NE(orders[0], orders[1]);
  EXPECT_NE(orders[1], orders[2]);
  auto sorted = orders[0];
  std::sort(sorted.begin(), sorted.end());
  for (int64_t i = 0; i < 30; ++i) EXPECT_EQ(sorted[static_cast<size_t>(i)], i);
}

TEST(Trainer, ScoresTheBestWeightsAndExportsThem) {
  const TemporaryFolder folder;
  TrainerConfig config = small();
  config.epochs = 8;
  config.learning_rate = 0.05;
  config.run_dir = folder.path("");
  const Outcome outcome = run(config);
  double best = std::numeric_limits<double>::infinity();
  for (const EpochReport& epoch : outcome.epochs) best = std::min(best, epoch.valid.loss);
  EXPECT_DOUBLE_EQ(outcome.result.valid.loss, best);
  EXPECT_EQ(outcome.epochs[static_cast<size_t>(outcome.result.best_epoch - 1)].valid.loss, best);

  ScriptModel model(folder.path("ae.pt"), at::kCPU);
  EXPECT_FALSE(model.is_native());  // this test's config.json does not describe the network
  EXPECT_EQ(model.config_json(), config.config_json);
  EXPECT_EQ(model.embedding_shape(), std::vector<int64_t>{6});
  Squares valid_set(10, 13, 2);
  std::vector<int64_t> order{0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  valid_set.start(order, 10);
  Batch batch;
  valid_set.next(batch);
  const at::Tensor target = batch.images.permute({0, 3, 1, 2}).to(at::kFloat) / 255;
  const at::Tensor loss = at::binary_cross_entropy_with_logits(model.logits(target), target);
  EXPECT_NEAR(loss.item<double>(), best, 1e-5);
  // Bytes are scaled inside.
  const at::Tensor bytes = batch.images.permute({0, 3, 1, 2}).contiguous();
  EXPECT_TRUE(at::allclose(model.reconstruct(bytes), model.reconstruct(target), 0, 1e-6));
  ScriptModel encoder(folder.path("en.pt"), at::kCPU);
  EXPECT_FALSE(encoder.is_autoencoder());
  EXPECT_TRUE(at::equal(encoder.encode(target), model.encode(target)));
}

TEST(Trainer, WritesCheckpointsAtMostEachPeriodAndOnlyOfTheBest) {
  const TemporaryFolder folder;
  TrainerConfig config = small();
  config.epochs = 9;
  config.period = 3;
  config.run_dir = folder.path("");
  const Outcome outcome = run(config);
  int64_t last = 0;
  int written = 0;
  for (const EpochReport& epoch : outcome.epochs) {
    if (epoch.checkpoint.empty()) {
      EXPECT_FALSE(epoch.best && epoch.epoch - last >= 3);
      continue;
    }
    ++written;
    EXPECT_TRUE(epoch.best);
    EXPECT_GE(epoch.epoch - last, 3);
    last = epoch.epoch;
    const TensorFile file = read_tensor_file(folder.path(epoch.checkpoint), true);
    EXPECT_EQ(file.metadata.at("epoch"), std::to_string(epoch.epoch));
  }
  EXPECT_GT(written, 0);
}

TEST(Trainer, StopsWhenPatienceEnds) {
  TrainerConfig config = small();
  config.epochs = 200;
  config.patience = 2;
  config.learning_rate = 1.0;  // far too large, so that epochs get worse
  const Outcome outcome = run(config);
  EXPECT_EQ(outcome.result.stopped, Stopped::kEarly);
  EXPECT_EQ(outcome.result.epochs, outcome.result.best_epoch + 2);
}

TEST(Trainer, CancelTakesEffectWithinABatch) {
  const TemporaryFolder folder;
  TrainerConfig config = small();
  config.epochs = 100;
  config.run_dir = folder.path("");
  Squares train_set(30, 13, 1);
  Squares valid_set(10, 13, 2);
  Recorder recorder;
  std::atomic<bool> cancel{false};
  int64_t after = 0;
  recorder.progress = [&](const ProgressReport& report) {
    if (cancel) ++after;
    if (report.epoch == 2 && report.batch == 2 && !report.validating) cancel = true;
  };
  const TrainingResult result = train(config, train_set, valid_set, recorder, cancel);
  EXPECT_EQ(result.stopped, Stopped::kInterrupted);
  EXPECT_EQ(result.epochs, 1);
  EXPECT_EQ(after, 0);
  EXPECT_TRUE(std::filesystem::exists(folder.path("ae.pt")));
}

TEST(Trainer, NamesALossThatIsNotFinite) {
  TrainerConfig config = small();
  config.optimizer = OptimizerKind::kSgd;
  config.learning_rate = 1e300;  // infinite in fp32
  try {
    const Outcome outcome = run(config);
    FAIL() << "losses " << outcome.epochs.front().train.loss << " "
           << outcome.epochs.back().train.loss;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNan);
  }
}

}  // namespace
}  // namespace flexae
