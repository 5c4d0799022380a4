#include "core/train/checkpoint_policy.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "core/train/early_stopping.h"

namespace flexae {
namespace {

using Clock = CheckpointPolicy::Clock;
using Names = std::vector<std::string>;

class CheckpointPolicyTest : public testing::Test {
 protected:
  CheckpointPolicyTest() {
    config.run_dir = "runs/1";
    config.period = 1;
  }

  std::optional<Names> after(double valid_loss) {
    const CheckpointPolicy policy(config, begin);
    report = EpochReport();
    report.epoch = ++state.epoch;
    report.train.loss = 0.5;
    report.valid.loss = valid_loss;
    EarlyStopping::count(report, state);
    return policy.after_epoch(report, state);
  }
  static std::string named(int epoch, const char* valid_loss) {
    return "ep00" + std::to_string(epoch) + "-loss0.5000000-val_loss" + valid_loss + ".ckpt";
  }

  const Clock::time_point begin = Clock::now();
  TrainerConfig config;
  TrainingState state;
  EpochReport report;
};

TEST_F(CheckpointPolicyTest, SavesTheBestUnderMoreNames) {
  EXPECT_EQ(after(0.3), (Names{"best.ckpt", named(1, "0.3000000")}));
  EXPECT_EQ(report.checkpoint, named(1, "0.3000000"));
  EXPECT_EQ(state.last_checkpoint, 1);
  // last.ckpt alone.
  EXPECT_EQ(after(0.4), Names{});
  EXPECT_EQ(report.checkpoint, "");
  EXPECT_EQ(state.last_checkpoint, 1);
}

TEST_F(CheckpointPolicyTest, NamesABestOneAtMostOnceAPeriod) {
  config.period = 3;
  EXPECT_EQ(after(0.9), Names{"best.ckpt"});
  EXPECT_EQ(after(0.8), Names{"best.ckpt"});
  EXPECT_EQ(after(0.7), (Names{"best.ckpt", named(3, "0.7000000")}));
  EXPECT_EQ(after(0.6), Names{"best.ckpt"});
  EXPECT_EQ(after(0.7), Names{});
  // Three epochs later, but no better than the fourth.
  EXPECT_EQ(after(0.7), Names{});
  EXPECT_EQ(after(0.5), (Names{"best.ckpt", named(7, "0.5000000")}));
}

TEST_F(CheckpointPolicyTest, SavesOthersEverySoManyEpochs) {
  config.checkpoint_epochs = 2;
  config.period = 100;
  EXPECT_TRUE(after(0.5).has_value());  // the best
  EXPECT_TRUE(after(0.6).has_value());  // the second
  EXPECT_FALSE(after(0.6).has_value());
  EXPECT_TRUE(after(0.6).has_value());
}

TEST_F(CheckpointPolicyTest, WithoutEpochsSavesNothingButNamedOnes) {
  config.checkpoint_epochs = 0;
  config.checkpoint_minutes = 1;
  config.period = 2;
  EXPECT_FALSE(after(0.9).has_value());
  EXPECT_EQ(after(0.8), (Names{"best.ckpt", named(2, "0.8000000")}));
  const CheckpointPolicy policy(config, begin);
  EXPECT_FALSE(policy.is_due_at(begin + std::chrono::hours(1)));
  EXPECT_FALSE(policy.is_due_at_end(state));
}

TEST_F(CheckpointPolicyTest, NamesNoFileWhereNothingIsWritten) {
  config.run_dir = "";
  EXPECT_EQ(after(0.3), Names{"best.ckpt"});
  EXPECT_EQ(report.checkpoint, "");
}

TEST_F(CheckpointPolicyTest, IsDueWhenMinutesHaveGoneBySinceTheLast) {
  using std::chrono::seconds;
  config.checkpoint_minutes = 0;
  CheckpointPolicy never(config, begin);
  EXPECT_FALSE(never.is_due_at(begin + std::chrono::hours(100)));
  config.checkpoint_minutes = 0.5;
  CheckpointPolicy policy(config, begin);
  EXPECT_FALSE(policy.is_due_at(begin + seconds(29)));
  EXPECT_TRUE(policy.is_due_at(begin + seconds(30)));
  policy.note_saved(state, begin + seconds(40));
  EXPECT_FALSE(policy.is_due_at(begin + seconds(69)));
  EXPECT_TRUE(policy.is_due_at(begin + seconds(70)));
}

TEST_F(CheckpointPolicyTest, SavesAtTheEndWhatIsNotSaved) {
  CheckpointPolicy policy(config, begin);
  EXPECT_FALSE(policy.is_due_at_end(state));  // the beginning
  state.progress.batch = 3;
  EXPECT_TRUE(policy.is_due_at_end(state));
  policy.note_saved(state, begin);
  EXPECT_FALSE(policy.is_due_at_end(state));
  state.epoch = 1;
  state.progress.batch = 0;
  EXPECT_TRUE(policy.is_due_at_end(state));
  policy.note_resumed(state);
  EXPECT_FALSE(policy.is_due_at_end(state));
}

}  // namespace
}  // namespace flexae
