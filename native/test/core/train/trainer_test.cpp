#include "core/train/trainer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/files/safetensors.h"
#include "core/model/loaded_model.h"
#include "core/train/checkpoint/checkpoint.h"
#include "test/core/temporary_folder.h"
#include "training_support.h"

namespace flexae {
namespace {

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
  outcome.result = train(config, train_set, valid_set, default_exporters(), recorder, cancel);
  outcome.epochs = recorder.epochs;
  outcome.orders = train_set.orders;
  return outcome;
}

TEST(Trainer, LearnsAndRepeatsBitForBit) {
  TrainerConfig config = small_training();
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

TEST(Trainer, SaysOnceWhichLayersHaveNoFastPath) {
  TrainerConfig config = small_training();
  const auto warnings = [&] {
    Squares train_set(30, config.model.height, 1);
    Squares valid_set(10, config.model.height, 2);
    Recorder recorder;
    const std::atomic<bool> cancel{false};
    (void)train(config, train_set, valid_set, {}, recorder, cancel);
    return recorder.warnings;
  };
  config.model.pooling = {Pooling::kMax, Pooling::kNone};
  EXPECT_EQ(warnings(), std::vector<std::string>{});
  // 7×7 are pooled to 4×4, and twice that is cut.
  config.model.pooling = {Pooling::kNone, Pooling::kAvg};
  const std::vector<std::string> told = warnings();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_NE(told[0].find("decoder.upsample_1 has no fast path on cpu"), std::string::npos);
}

TEST(Trainer, ShufflesEachEpochAnew) {
  const auto orders = run(small_training()).orders;
  ASSERT_GE(orders.size(), 3U);
  EXPECT_NE(orders[0], orders[1]);
  EXPECT_NE(orders[1], orders[2]);
  auto sorted = orders[0];
  std::sort(sorted.begin(), sorted.end());
  for (int64_t i = 0; i < 30; ++i) EXPECT_EQ(sorted[static_cast<size_t>(i)], i);
}

TEST(Trainer, ScoresTheBestWeightsAndExportsThem) {
  const TemporaryFolder folder;
  TrainerConfig config = small_training();
  config.epochs = 8;
  config.learning_rate = 0.05;
  config.precision = "fp32";  // as the exported model computes
  config.run_dir = folder.path("");
  const Outcome outcome = run(config);
  double best = std::numeric_limits<double>::infinity();
  for (const EpochReport& epoch : outcome.epochs) best = std::min(best, epoch.valid.loss);
  EXPECT_DOUBLE_EQ(outcome.result.valid.loss, best);
  EXPECT_EQ(outcome.epochs[static_cast<size_t>(outcome.result.best_epoch - 1)].valid.loss, best);

  // This test's config.json does not describe the network: its TorchScript must be trusted.
  EXPECT_THROW(LoadedModel(folder.path("ae.pt"), at::kCPU), Error);
  LoadedModel model(folder.path("ae.pt"), at::kCPU, /*trust=*/true, /*native=*/false);
  EXPECT_FALSE(model.is_native());
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
  LoadedModel encoder(folder.path("en.pt"), at::kCPU, /*trust=*/true, /*native=*/false);
  EXPECT_FALSE(encoder.is_autoencoder());
  EXPECT_TRUE(at::equal(encoder.encode(target), model.encode(target)));
}

/// Notes what it is handed, in place of writing.
class Noting : public Exporter {
 public:
  struct Call {
    std::string path;
    std::string config_json;
    NamedTensors weights;
  };
  Noting(std::string file, std::vector<Call>& calls) : file_(std::move(file)), calls_(calls) {}
  [[nodiscard]] std::string file() const override { return file_; }
  void write(const Autoencoder& model, const std::string& path,
             const std::string& config_json) const override {
    NamedTensors weights;
    for (const auto& [name, tensor] : model.state()) weights.emplace_back(name, tensor.clone());
    calls_.push_back({path, config_json, std::move(weights)});
  }

 private:
  std::string file_;
  std::vector<Call>& calls_;
};

TEST(Trainer, HandsTheBestWeightsToEachExporterOnce) {
  const TemporaryFolder folder;
  TrainerConfig config = small_training();
  config.epochs = 8;
  config.learning_rate = 0.05;
  config.run_dir = folder.path("");
  Squares train_set(30, 13, 1);
  Squares valid_set(10, 13, 2);
  Recorder recorder;
  const std::atomic<bool> cancel{false};
  std::vector<Noting::Call> calls;
  const Exporters exporters{std::make_shared<Noting>("one", calls),
                            std::make_shared<Noting>("another", calls)};
  train(config, train_set, valid_set, exporters, recorder, cancel);
  ASSERT_EQ(calls.size(), 2U);
  EXPECT_TRUE(calls[0].path.ends_with("/one"));
  EXPECT_TRUE(calls[1].path.ends_with("/another"));
  const NamedTensors saved = read_checkpoint(folder.path("best.ckpt")).snapshot.model;
  const std::map<std::string, at::Tensor> best(saved.begin(), saved.end());
  for (const Noting::Call& call : calls) {
    EXPECT_EQ(call.config_json, config.config_json);
    ASSERT_EQ(call.weights.size(), best.size());
    for (const auto& [name, tensor] : call.weights) {
      EXPECT_TRUE(tensor.equal(best.at(name))) << name;
    }
  }
  EXPECT_FALSE(std::filesystem::exists(folder.path("ae.pt")));

  // Where nothing is to be written, nobody is asked.
  config.run_dir = "";
  train(config, train_set, valid_set, exporters, recorder, cancel);
  EXPECT_EQ(calls.size(), 2U);
}

TEST(Trainer, WritesCheckpointsAtMostEachPeriodAndOnlyOfTheBest) {
  const TemporaryFolder folder;
  TrainerConfig config = small_training();
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
  TrainerConfig config = small_training();
  config.epochs = 200;
  config.patience = 2;
  config.learning_rate = 1.0;  // far too large, so that epochs get worse
  const Outcome outcome = run(config);
  EXPECT_EQ(outcome.result.stopped, Stopped::kEarly);
  EXPECT_EQ(outcome.result.epochs, outcome.result.best_epoch + 2);
}

TEST(Trainer, CancelTakesEffectWithinABatch) {
  const TemporaryFolder folder;
  TrainerConfig config = small_training();
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
  const TrainingResult result =
      train(config, train_set, valid_set, default_exporters(), recorder, cancel);
  EXPECT_EQ(result.stopped, Stopped::kInterrupted);
  EXPECT_EQ(result.epochs, 1);
  EXPECT_EQ(after, 0);
  EXPECT_TRUE(std::filesystem::exists(folder.path("ae.pt")));
}

TEST(Trainer, NamesALossThatIsNotFinite) {
  TrainerConfig config = small_training();
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
