#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/comm/process_group.h"
#include "core/train/trainer.h"
#include "test/core/comm/ranks.h"
#include "test/core/temporary_folder.h"
#include "training_support.h"

namespace flexae {
namespace {

struct Sets {
  Squares train{30, 13, 1};
  Squares valid{10, 13, 2};
};

/// What one process saw of a training.
struct Seen {
  TrainingResult result;
  std::vector<EpochReport> epochs;
};

Seen train_with(const TrainerConfig& config, Communicator& communicator,
                const std::vector<int64_t>& unreadable = {}) {
  Sets sets;
  sets.train.unreadable = unreadable;
  Recorder recorder;
  const std::atomic<bool> cancel{false};
  Seen seen;
  seen.result =
      train(config, sets.train, sets.valid, default_exporters(), recorder, cancel, communicator);
  seen.epochs = recorder.epochs;
  return seen;
}

/// By so many processes; rank 0 alone has the run folder.
std::vector<Seen> train_shared(const TrainerConfig& config, int size,
                               const std::vector<int64_t>& unreadable = {}) {
  std::vector<Seen> seen(static_cast<size_t>(size));
  const auto errors = run_ranks(size, [&](ProcessGroup& group) {
    TrainerConfig own = config;
    if (group.rank() != 0) own.run_dir = "";
    seen[static_cast<size_t>(group.rank())] = train_with(own, group, unreadable);
  });
  for (const std::string& error : errors) EXPECT_EQ(error, "");
  return seen;
}

double distance(double a, double b) {
  return std::abs(a - b) / std::abs(b);
}

/// The greatest relative distance of any loss of an epoch.
double distance(const Seen& a, const Seen& b) {
  EXPECT_EQ(a.epochs.size(), b.epochs.size());
  double greatest = 0;
  for (size_t i = 0; i < std::min(a.epochs.size(), b.epochs.size()); ++i) {
    greatest = std::max({greatest, distance(a.epochs[i].train.loss, b.epochs[i].train.loss),
                         distance(a.epochs[i].valid.loss, b.epochs[i].valid.loss)});
  }
  return greatest;
}

void expect_alike(const std::vector<Seen>& seen) {
  for (const Seen& other : seen) {
    ASSERT_EQ(other.epochs.size(), seen[0].epochs.size());
    for (size_t i = 0; i < seen[0].epochs.size(); ++i) {
      EXPECT_EQ(other.epochs[i].train.loss, seen[0].epochs[i].train.loss);
      EXPECT_EQ(other.epochs[i].valid.loss, seen[0].epochs[i].valid.loss);
      EXPECT_EQ(other.epochs[i].best, seen[0].epochs[i].best);
    }
    EXPECT_EQ(other.result.valid.loss, seen[0].result.valid.loss);
  }
}

/// 200 steps: 4 an epoch, the last one of 6 images.
TrainerConfig long_training() {
  TrainerConfig config = small_training();
  config.precision = "fp32";
  config.optimizer = OptimizerKind::kSgd;
  config.learning_rate = 0.05;
  config.epochs = 50;
  config.patience = 1000;
  return config;
}

class SharedTraining : public testing::Test {
 protected:
  void SetUp() override {
    if (!processes_problem().empty()) GTEST_SKIP() << processes_problem();
  }
};

TEST_F(SharedTraining, IsThatOfOneProcess) {
  TrainerConfig config = long_training();
  config.horizontal_flip = config.vertical_flip = true;
  config.model.drop_rate = 0.3;
  const Seen alone = train_with(config, Communicator::alone());
  ASSERT_EQ(alone.epochs.size(), 50U);
  EXPECT_LT(alone.epochs.back().train.loss, alone.epochs.front().train.loss);
  for (const int size : {2, 4}) {
    const std::vector<Seen> seen = train_shared(config, size);
    expect_alike(seen);
    EXPECT_LT(distance(seen[0], alone), 1e-5) << size << " processes";
    EXPECT_LT(distance(seen[0].result.train.loss, alone.result.train.loss), 1e-5);
    EXPECT_LT(distance(seen[0].result.valid.loss, alone.result.valid.loss), 1e-5);
  }
}

TEST_F(SharedTraining, IsThatOfOneProcessWherePartsDifferOrAreEmpty) {
  TrainerConfig config = long_training();
  config.epochs = 8;
  for (const auto& [batch, size] : std::vector<std::pair<int64_t, int>>{{7, 3}, {3, 5}}) {
    config.batch_size = batch;
    const Seen alone = train_with(config, Communicator::alone());
    const std::vector<Seen> seen = train_shared(config, size);
    expect_alike(seen);
    EXPECT_LT(distance(seen[0], alone), 1e-5) << batch << " images, " << size << " processes";
  }
}

TEST_F(SharedTraining, LeavesUnreadableImagesOutAsOneProcessDoes) {
  TrainerConfig config = long_training();
  config.epochs = 6;
  config.model.drop_rate = 0.5;
  const std::vector<int64_t> unreadable{0, 3, 4, 5, 11, 29};
  const Seen alone = train_with(config, Communicator::alone(), unreadable);
  const std::vector<Seen> seen = train_shared(config, 2, unreadable);
  expect_alike(seen);
  EXPECT_LT(distance(seen[0], alone), 1e-5);
}

TEST_F(SharedTraining, CountsPenaltiesOnce) {
  TrainerConfig config = long_training();
  config.epochs = 8;
  config.model.kernel_regularizer = {.l1 = 0, .l2 = 0.01};
  config.model.bias_regularizer = {.l1 = 0.001, .l2 = 0};
  config.model.activity_regularizer = {.l1 = 0.001, .l2 = 0.001};
  config.model.cnn_kernel_regularizer = {.l1 = 0, .l2 = 0.01};
  const Seen alone = train_with(config, Communicator::alone());
  const std::vector<Seen> seen = train_shared(config, 3);
  expect_alike(seen);
  EXPECT_LT(distance(seen[0], alone), 1e-5);
}

TEST_F(SharedTraining, IsThatOfOneProcessOnLayersWithoutAFastPath) {
  TrainerConfig config = long_training();
  config.epochs = 8;
  // 7×7 are pooled to 4×4, and twice that is cut.
  config.model.pooling = {Pooling::kNone, Pooling::kAvg};
  for (const int size : {2, 5}) {
    config.batch_size = size == 2 ? 8 : 3;  // of which two have none
    const Seen alone = train_with(config, Communicator::alone());
    const std::vector<Seen> seen = train_shared(config, size);
    expect_alike(seen);
    EXPECT_LT(distance(seen[0], alone), 1e-5) << size << " processes";
  }
}

TEST_F(SharedTraining, NormalizesByEachOnesOwnPartWhereAsked) {
  TrainerConfig config = long_training();
  config.epochs = 6;
  const Seen alone = train_with(config, Communicator::alone());
  config.sync_batch_norm = false;
  const std::vector<Seen> seen = train_shared(config, 2);
  expect_alike(seen);
  EXPECT_GT(distance(seen[0], alone), 1e-4);
  EXPECT_LT(seen[0].epochs.back().train.loss, seen[0].epochs.front().train.loss);
}

TEST_F(SharedTraining, GoesOnWithAnotherNumberOfProcesses) {
  TrainerConfig config = long_training();
  config.epochs = 12;
  const Seen whole = train_with(config, Communicator::alone());
  for (const auto& [before, after] : std::vector<std::pair<int, int>>{{2, 1}, {1, 4}, {4, 2}}) {
    const TemporaryFolder folder;
    TrainerConfig first = config;
    first.epochs = 5;
    first.run_dir = folder.path("");
    train_shared(first, before);
    TrainerConfig second = config;
    second.run_dir = folder.path("");
    second.resume_from = folder.path("last.ckpt");
    const std::vector<Seen> seen = train_shared(second, after);
    expect_alike(seen);
    ASSERT_EQ(seen[0].epochs.size(), 7U);
    EXPECT_LT(distance(seen[0].epochs.back().valid.loss, whole.epochs.back().valid.loss), 1e-5)
        << before << ", then " << after;
  }
}

TEST_F(SharedTraining, EndsEverywhereWhereOneIsAskedTo) {
  TrainerConfig config = long_training();
  std::vector<Seen> seen(3);
  const auto errors = run_ranks(3, [&](ProcessGroup& group) {
    Sets sets;
    Recorder recorder;
    std::atomic<bool> cancel{false};
    // In the middle of an epoch, and not on rank 0.
    recorder.progress = [&](const ProgressReport& report) {
      if (group.rank() == 2 && report.epoch == 3 && report.batch == 2) cancel = true;
    };
    Seen& own = seen[static_cast<size_t>(group.rank())];
    own.result =
        train(config, sets.train, sets.valid, default_exporters(), recorder, cancel, group);
    own.epochs = recorder.epochs;
  });
  for (const std::string& error : errors) EXPECT_EQ(error, "");
  for (const Seen& own : seen) {
    EXPECT_EQ(own.result.stopped, Stopped::kInterrupted);
    EXPECT_EQ(own.epochs.size(), 2U);
  }
}

TEST_F(SharedTraining, FindsEverywhereTheSameNumbersThatAreNotFinite) {
  TrainerConfig config = long_training();
  config.learning_rate = 1e30;
  const auto errors = run_ranks(2, [&](ProcessGroup& group) { (void)train_with(config, group); });
  for (const std::string& error : errors) {
    EXPECT_NE(error.find("is no longer a finite number"), std::string::npos) << error;
  }
  EXPECT_EQ(errors[0], errors[1]);
  config.on_nan = OnNan::kSkip;
  const auto again = run_ranks(2, [&](ProcessGroup& group) { (void)train_with(config, group); });
  EXPECT_NE(again[0].find("even after halving"), std::string::npos) << again[0];
  EXPECT_EQ(again[0], again[1]);
}

TEST_F(SharedTraining, EndsWhereOneCannotReadItsImages) {
  class Broken : public Squares {
   public:
    using Squares::Squares;
    bool next(Batch& batch) override {
      if (++batches > 5) throw Error(ErrorCode::kIo, "the disk is gone");
      return Squares::next(batch);
    }
    int batches = 0;
  };
  const TrainerConfig config = long_training();
  const auto errors = run_ranks(2, [&](ProcessGroup& group) {
    Sets sets;
    Broken broken(30, 13, 1);
    Recorder recorder;
    const std::atomic<bool> cancel{false};
    BatchSource& source = group.rank() == 1 ? static_cast<BatchSource&>(broken) : sets.train;
    (void)train(config, source, sets.valid, default_exporters(), recorder, cancel, group);
  });
  EXPECT_EQ(errors[1], "the disk is gone");
  EXPECT_NE(errors[0].find("failed: the disk is gone"), std::string::npos) << errors[0];
}

}  // namespace
}  // namespace flexae
