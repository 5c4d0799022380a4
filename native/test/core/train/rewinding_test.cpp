#include "core/train/rewinding.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "core/base/error.h"

namespace flexae {
namespace {

const NonFiniteError kFound{"The loss is no longer a finite number in epoch 2"};

std::string refusal(const Rewinding& rewinding, int64_t rewinds) {
  try {
    (void)rewinding.back(kFound, rewinds);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNan);
    return error.what();
  }
  return "";
}

TEST(RewindingTest, EndsTheTrainingWhereThatIsAsked) {
  const Rewinding rewinding(OnNan::kStop);
  EXPECT_FALSE(rewinding.keeps());
  const std::string message = refusal(rewinding, 1);
  EXPECT_EQ(message.find(kFound.what + ".\nUse a smaller learning_rate"), 0U) << message;
  EXPECT_NE(message.find("--on-nan skip"), std::string::npos) << message;
}

TEST(RewindingTest, GoesBackThreeTimesToTheLastGoodPoint) {
  Rewinding rewinding(OnNan::kSkip);
  EXPECT_TRUE(rewinding.keeps());
  rewinding.keep(std::make_shared<Checkpoint>());
  const auto good = std::make_shared<const Checkpoint>();
  rewinding.keep(good);
  for (const int64_t rewinds : {1, 2, 3}) EXPECT_EQ(rewinding.back(kFound, rewinds), good);
  const std::string message = refusal(rewinding, 4);
  EXPECT_NE(message.find("even after halving the learning rate 3 times"), std::string::npos)
      << message;
}

TEST(RewindingTest, HalvesTheLearningRateEachTime) {
  EXPECT_EQ(Rewinding::learning_rate(0.3, 0), 0.3);
  EXPECT_EQ(Rewinding::learning_rate(0.3, 1), 0.15);
  EXPECT_EQ(Rewinding::learning_rate(0.3, 3), 0.0375);
  // A checkpoint may claim any number.
  EXPECT_EQ(Rewinding::learning_rate(0.3, int64_t{1} << 40), 0.0375);
}

TEST(RewindingTest, TellsWhereTheTrainingStandsAgain) {
  const auto told = [](int64_t epoch, int64_t batch) {
    TrainingState state;
    state.epoch = epoch;
    state.progress.batch = batch;
    return Rewinding::message(kFound, state, 0.25);
  };
  EXPECT_EQ(told(0, 0), kFound.what + ": going on from the beginning with learning_rate 0.250000");
  EXPECT_EQ(told(3, 0),
            kFound.what + ": going on from the end of epoch 3 with learning_rate 0.250000");
  EXPECT_EQ(told(3, 7),
            kFound.what + ": going on from batch 7 of epoch 4 with learning_rate 0.250000");
}

}  // namespace
}  // namespace flexae
