#include "core/train/early_stopping.h"

#include <gtest/gtest.h>

#include <vector>

namespace flexae {
namespace {

struct Counted {
  TrainingState state;
  std::vector<EpochReport> reports;
};

/// Epochs of such validation losses, until patience ends.
Counted count(int64_t patience, const std::vector<double>& losses) {
  const EarlyStopping early_stopping(patience);
  Counted counted;
  for (const double loss : losses) {
    if (early_stopping.is_over(counted.state)) break;
    EpochReport report;
    report.epoch = ++counted.state.epoch;
    report.valid.loss = loss;
    EXPECT_EQ(EarlyStopping::count(report, counted.state), report.best);
    counted.reports.push_back(report);
  }
  return counted;
}

TEST(EarlyStoppingTest, StopsAfterSoManyEpochsWithoutABetterOne) {
  const Counted counted = count(2, {5, 4, 4.5, 3, 3.1, 3.2, 1});
  EXPECT_EQ(counted.reports.size(), 6U);
  EXPECT_EQ(counted.state.best_epoch, 4);
  EXPECT_EQ(counted.state.best_loss, 3);
  EXPECT_EQ(counted.state.wait, 2);
}

TEST(EarlyStoppingTest, TellsEachEpochWhetherItIsTheBestAndWhichOneIs) {
  const Counted counted = count(9, {5, 6, 4, 4});
  const std::vector<bool> best{true, false, true, false};
  const std::vector<int64_t> best_epoch{1, 1, 3, 3};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(counted.reports[i].best, best[i]) << i;
    EXPECT_EQ(counted.reports[i].best_epoch, best_epoch[i]) << i;
  }
}

TEST(EarlyStoppingTest, TakesAnyFirstEpochForTheBest) {
  const Counted counted = count(1, {1e300});
  EXPECT_TRUE(counted.reports[0].best);
  EXPECT_EQ(counted.state.best_epoch, 1);
}

TEST(EarlyStoppingTest, WithoutPatienceStopsAtTheFirstEpochThatIsNoBetter) {
  EXPECT_EQ(count(0, {5, 4, 3, 3, 1}).reports.size(), 4U);
  EXPECT_FALSE(EarlyStopping(0).is_over(TrainingState{}));
}

}  // namespace
}  // namespace flexae
