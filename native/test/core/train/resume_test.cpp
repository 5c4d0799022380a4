#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/files/atomic_file.h"
#include "core/files/folder_lock.h"
#include "core/model/loaded_model.h"
#include "core/model/model_file.h"
#include "core/train/checkpoint/checkpoint.h"
#include "test/core/temporary_folder.h"
#include "training_support.h"

namespace flexae {
namespace {

/// A training with everything that has a state: dropout, flips, moving statistics, two slots, an
/// image that cannot be read and a batch without any that can.
TrainerConfig config_in(const TemporaryFolder& folder) {
  TrainerConfig config = small_training();
  config.epochs = 4;
  config.period = 2;
  config.model.drop_rate = 0.3;
  config.run_dir = folder.path("");
  return config;
}

struct Ended {
  TrainingResult result;
  std::vector<EpochReport> epochs;
  std::vector<std::string> warnings;
};

constexpr int64_t kNever = -1;

/// Trains; cancelled after `steps` steps, if that is not kNever.
Ended train_until(const TrainerConfig& config, int64_t steps = kNever) {
  Squares train_set(30, config.model.height, 1);
  Squares valid_set(10, config.model.height, 2);
  train_set.unreadable = {3};
  Recorder recorder;
  std::atomic<bool> cancel{steps == 0};
  int64_t done = 0;
  recorder.progress = [&](const ProgressReport&) {
    if (++done == steps) cancel = true;
  };
  Ended ended;
  ended.result = train(config, train_set, valid_set, default_exporters(), recorder, cancel);
  ended.epochs = recorder.epochs;
  ended.warnings = recorder.warnings;
  return ended;
}

void expect_same(const NamedTensors& a, const NamedTensors& b) {
  ASSERT_EQ(a.size(), b.size());
  const std::map<std::string, at::Tensor> others(b.begin(), b.end());
  for (const auto& [name, tensor] : a) EXPECT_TRUE(at::equal(tensor, others.at(name))) << name;
}

/// Everything but the times.
void expect_same(const Checkpoint& a, const Checkpoint& b) {
  expect_same(a.snapshot.model, b.snapshot.model);
  expect_same(a.snapshot.best, b.snapshot.best);
  expect_same(a.snapshot.slots, b.snapshot.slots);
  const TrainingState& s = a.snapshot.state;
  const TrainingState& t = b.snapshot.state;
  EXPECT_EQ(a.snapshot.iterations, b.snapshot.iterations);
  EXPECT_EQ(a.snapshot.learning_rate, b.snapshot.learning_rate);
  EXPECT_EQ(s.epoch, t.epoch);
  EXPECT_EQ(s.best_epoch, t.best_epoch);
  EXPECT_EQ(s.best_loss, t.best_loss);
  EXPECT_EQ(s.wait, t.wait);
  EXPECT_EQ(s.last_checkpoint, t.last_checkpoint);
  EXPECT_EQ(s.progress.batch, t.progress.batch);
  ASSERT_EQ(s.history.size(), t.history.size());
  for (size_t i = 0; i < s.history.size(); ++i) {
    EXPECT_EQ(s.history[i].train.loss, t.history[i].train.loss);
    EXPECT_EQ(s.history[i].train.accuracy, t.history[i].train.accuracy);
    EXPECT_EQ(s.history[i].valid.loss, t.history[i].valid.loss);
    EXPECT_EQ(s.history[i].valid.psnr, t.history[i].valid.psnr);
    EXPECT_EQ(s.history[i].best, t.history[i].best);
    EXPECT_EQ(s.history[i].learning_rate, t.history[i].learning_rate);
  }
}

TEST(Resume, EndsWhereTheUninterruptedTrainingDoesWhereverItStopped) {
  const TemporaryFolder whole_folder;
  const Ended whole = train_until(config_in(whole_folder));
  ASSERT_EQ(whole.result.epochs, 4);
  const Checkpoint end = read_checkpoint(whole_folder.path("last.ckpt"));

  // Four epochs of four batches and two of validation.
  for (int64_t steps = 1; steps <= 24; ++steps) {
    SCOPED_TRACE("stopped after step " + std::to_string(steps));
    const TemporaryFolder folder;
    TrainerConfig config = config_in(folder);
    const Ended first = train_until(config, steps);
    if (first.result.stopped == Stopped::kInterrupted) {
      config.resume_from = folder.path("last.ckpt");
      const Ended second = train_until(config);
      EXPECT_EQ(first.epochs.size() + second.epochs.size(), 4U);
      EXPECT_EQ(second.result.valid.loss, whole.result.valid.loss);
      EXPECT_EQ(second.result.best_epoch, whole.result.best_epoch);
    }
    expect_same(read_checkpoint(folder.path("last.ckpt")), end);
    EXPECT_EQ(read_file(folder.path("ae.pt")), read_file(whole_folder.path("ae.pt")));
  }
}

TEST(Resume, SurvivesManyInterruptionsOfEachOptimizer) {
  for (const OptimizerKind kind :
       {OptimizerKind::kSgd, OptimizerKind::kRmsprop, OptimizerKind::kAdagrad,
        OptimizerKind::kAdadelta, OptimizerKind::kAdam, OptimizerKind::kAdamw,
        OptimizerKind::kAdamax, OptimizerKind::kNadam}) {
    SCOPED_TRACE(static_cast<int>(kind));
    const TemporaryFolder whole_folder;
    TrainerConfig config = config_in(whole_folder);
    config.optimizer = kind;
    train_until(config);

    const TemporaryFolder folder;
    config.run_dir = folder.path("");
    int sessions = 1;
    while (train_until(config, 3).result.stopped == Stopped::kInterrupted) {
      config.resume_from = folder.path("last.ckpt");
      ASSERT_LT(++sessions, 40);
    }
    EXPECT_GT(sessions, 4);
    expect_same(read_checkpoint(folder.path("last.ckpt")),
                read_checkpoint(whole_folder.path("last.ckpt")));
  }
}

TEST(Resume, ScoresWhatWasCancelledWhileItWasScored) {
  const TemporaryFolder folder;
  TrainerConfig config = config_in(folder);
  Squares train_set(30, 13, 1);
  Squares valid_set(10, 13, 2);
  Recorder recorder;
  std::atomic<bool> cancel{false};
  recorder.finishing = [&] { cancel = true; };
  const TrainingResult first =
      train(config, train_set, valid_set, default_exporters(), recorder, cancel);
  EXPECT_EQ(first.stopped, Stopped::kInterrupted);
  EXPECT_EQ(first.epochs, 4);
  EXPECT_FALSE(first.scored);
  EXPECT_TRUE(std::filesystem::exists(folder.path("ae.pt")));
  config.resume_from = folder.path("last.ckpt");
  const Ended second = train_until(config);
  EXPECT_EQ(second.result.stopped, Stopped::kFinished);
  EXPECT_TRUE(second.result.scored);
  EXPECT_TRUE(second.epochs.empty());
}

TEST(Resume, KeepsTheCountOfPatience) {
  TrainerConfig config = small_training();
  config.epochs = 200;
  config.patience = 4;
  config.learning_rate = 1.0;  // far too large, so that epochs get worse
  const Ended whole = train_until(config);
  ASSERT_EQ(whole.result.stopped, Stopped::kEarly);

  const TemporaryFolder folder;
  config.run_dir = folder.path("");
  Ended ended = train_until(config, 6 * (whole.result.best_epoch + 2));
  ASSERT_EQ(ended.result.stopped, Stopped::kInterrupted);
  config.resume_from = folder.path("last.ckpt");
  ended = train_until(config);
  EXPECT_EQ(ended.result.stopped, Stopped::kEarly);
  EXPECT_EQ(ended.result.epochs, whole.result.epochs);
  EXPECT_EQ(ended.result.best_epoch, whole.result.best_epoch);
  // Nothing is left to do; more patience gives two epochs, and more if one of them is the best.
  EXPECT_TRUE(train_until(config).epochs.empty());
  config.patience = 6;
  EXPECT_GE(train_until(config).epochs.size(), 2U);
}

TEST(Resume, RefusesAnotherNetworkOrOptimizer) {
  const TemporaryFolder folder;
  TrainerConfig config = config_in(folder);
  config.epochs = 1;
  train_until(config);
  config.resume_from = folder.path("last.ckpt");
  TrainerConfig wider = config;
  wider.model.dims = {17, 6};
  TrainerConfig other = config;
  other.optimizer = OptimizerKind::kSgd;
  for (const TrainerConfig& changed : {wider, other}) {
    try {
      train_until(changed);
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kModel);
      EXPECT_NE(std::string(error.what()).find("last.ckpt"), std::string::npos) << error.what();
    }
  }
}

TEST(Resume, KeepsTheNewestOfTheNumberedCheckpoints) {
  const TemporaryFolder folder;
  TrainerConfig config = config_in(folder);
  config.epochs = 12;
  config.period = 1;
  config.keep = 2;
  const Ended ended = train_until(config);
  std::vector<std::string> written;
  for (const EpochReport& epoch : ended.epochs) {
    if (!epoch.checkpoint.empty()) written.push_back(epoch.checkpoint);
  }
  ASSERT_GT(written.size(), 2U);
  for (size_t i = 0; i < written.size(); ++i) {
    EXPECT_EQ(std::filesystem::exists(folder.path(written[i])), i + 2 >= written.size());
  }
  EXPECT_EQ(read_checkpoint(folder.path("best.ckpt")).snapshot.state.epoch,
            ended.result.best_epoch);
  EXPECT_EQ(read_checkpoint(folder.path("last.ckpt")).snapshot.state.epoch, 12);
  EXPECT_EQ(read_checkpoint(folder.path("previous.ckpt")).snapshot.state.epoch, 11);
}

TEST(Resume, GoesBackFromANanAtHalfTheLearningRateThreeTimes) {
  TrainerConfig config = small_training();
  // Every layer has a fast path, so that nothing else warns.
  config.model.pooling = {Pooling::kMax, Pooling::kNone};
  config.optimizer = OptimizerKind::kSgd;
  config.learning_rate = 1e300;  // infinite in fp32, however often it is halved
  config.on_nan = OnNan::kSkip;
  Squares train_set(30, 13, 1);
  Squares valid_set(10, 13, 2);
  Recorder recorder;
  const std::atomic<bool> cancel{false};
  EXPECT_THROW(train(config, train_set, valid_set, default_exporters(), recorder, cancel), Error);
  EXPECT_EQ(recorder.warnings.size(), 3U);
  EXPECT_TRUE(recorder.epochs.empty());
}

TEST(Checkpoint, FindsEveryFlippedByte) {
  const TemporaryFolder folder;
  TrainerConfig config = config_in(folder);
  config.epochs = 1;
  train_until(config);
  const std::string whole = read_file(folder.path("last.ckpt"));
  EXPECT_NO_THROW(parse_checkpoint(whole, "it"));
  // Each byte in turn takes long: all of the header and the end, and some between.
  for (size_t i = 0; i < whole.size(); i += i < 4096 || i + 256 > whole.size() ? 1 : 97) {
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    EXPECT_THROW(parse_checkpoint(damaged, "it"), Error) << "byte " << i;
  }
  for (const size_t length : {size_t{0}, size_t{7}, size_t{100}, whole.size() - 1}) {
    EXPECT_THROW(parse_checkpoint(whole.substr(0, length), "it"), Error) << length;
  }
}

TEST(ModelFile, FindsEveryFlippedByteAndRunsNothing) {
  const TemporaryFolder folder;
  TrainerConfig config = config_in(folder);
  config.epochs = 1;
  train_until(config);
  const std::string whole = read_file(folder.path("en.pt"));
  EXPECT_TRUE(is_sealed(MemoryBytes(whole), "it"));
  for (size_t i = 0; i<whole.size(); i += i + 512> whole.size() ? 1 : 61) {
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    const std::string path = folder.path("damaged.pt");
    std::ofstream(path, std::ios::binary) << damaged;
    EXPECT_THROW(LoadedModel(path, at::kCPU), Error) << "byte " << i;
  }
}

TEST(FolderLock, HoldsAFolderUntilItIsGone) {
  const TemporaryFolder folder;
  {
    const FolderLock lock(folder.path(""));
    EXPECT_THROW(FolderLock(folder.path("")), Error);
    EXPECT_TRUE(FolderLock::is_held(folder.path("")));
  }
  EXPECT_FALSE(FolderLock::is_held(folder.path("")));
  EXPECT_NO_THROW(FolderLock(folder.path("")));
  EXPECT_THROW(FolderLock(folder.path("none")), Error);
}

TEST(AtomicFile, GivesTwinsAndReplacesThem) {
  const TemporaryFolder folder;
  const auto write = [&](const std::string& text) {
    write_file_atomic(folder.path("a"), {std::as_bytes(std::span(text))}, {folder.path("b")});
  };
  write("one");
  EXPECT_TRUE(link_file_atomic(folder.path("a"), folder.path("c")));
  write("two");
  EXPECT_EQ(read_file(folder.path("a")), "two");
  EXPECT_EQ(read_file(folder.path("b")), "two");
  EXPECT_EQ(read_file(folder.path("c")), "one");
  EXPECT_FALSE(link_file_atomic(folder.path("none"), folder.path("d")));
  // Linking what is linked already leaves nothing behind.
  EXPECT_TRUE(link_file_atomic(folder.path("a"), folder.path("b")));
  size_t entries = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path(""))) {
    (void)entry;
    ++entries;
  }
  EXPECT_EQ(entries, 3U);
}

}  // namespace
}  // namespace flexae
