#include "core/train/feed/epoch_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <vector>

#include "core/base/random.h"

namespace flexae {
namespace {

using Order = std::vector<int64_t>;

/// How many images of an order are of each part.
std::vector<int64_t> counts_of(const Order& order, const std::vector<SetPart>& parts) {
  std::vector<int64_t> counts;
  int64_t first = 0;
  for (const SetPart& part : parts) {
    counts.push_back(std::count_if(order.begin(), order.end(), [&](int64_t image) {
      return image >= first && image < first + part.images;
    }));
    first += part.images;
  }
  return counts;
}

TEST(EpochOrder, WithoutPartsIsEachImageOnce) {
  for (const int64_t epoch : {1, 2, 9}) {
    const Order order = epoch_order(100, {}, 5, epoch);
    EXPECT_EQ(order,
              random_permutation(100, 5, RandomPurpose::kShuffle, static_cast<uint64_t>(epoch)));
  }
}

TEST(EpochOrder, HasEachPartsShareInEveryEpoch) {
  const auto shares = [](int64_t images, const std::vector<SetPart>& parts) {
    const std::vector<int64_t> counts = counts_of(epoch_order(images, parts, 1, 1), parts);
    for (const int64_t epoch : {2, 3, 17, 1000}) {
      EXPECT_EQ(counts_of(epoch_order(images, parts, 1, epoch), parts), counts);
    }
    return counts;
  };
  EXPECT_EQ(shares(100, {{50, 0.7}, {50, 0.3}}), (std::vector<int64_t>{70, 30}));
  EXPECT_EQ(shares(100, {{10, 3}, {90, 1}}), (std::vector<int64_t>{75, 25}));
  // The largest remainders, the first of those that are the same.
  EXPECT_EQ(shares(10, {{3, 1}, {3, 1}, {4, 1}}), (std::vector<int64_t>{4, 3, 3}));
  EXPECT_EQ(shares(3, {{1, 1}, {1, 1}, {1, 2}}), (std::vector<int64_t>{1, 1, 1}));
  // What weighs next to nothing is not drawn; what counts is the share, not the number.
  EXPECT_EQ(shares(10, {{5, 1e-300}, {5, 1}}), (std::vector<int64_t>{0, 10}));
  EXPECT_EQ(shares(10, {{5, 1e308}, {5, 1e308}}), (std::vector<int64_t>{5, 5}));
  EXPECT_EQ(shares(10, {{5, 4e-324}, {5, 4e-324}}), (std::vector<int64_t>{5, 5}));
  EXPECT_EQ(shares(7, {{7, 0.1}}), (std::vector<int64_t>{7}));
}

TEST(EpochOrder, UsesAPartUpBeforeItBeginsAgain) {
  const std::vector<SetPart> parts{{7, 0.6}, {40, 0.4}};
  // 28 and 19 of 47: the first part is gone through four times an epoch, the second in part.
  std::map<int64_t, std::vector<int64_t>> drawn;
  for (int64_t epoch = 1; epoch <= 40; ++epoch) {
    std::map<int64_t, int64_t> times;
    for (const int64_t image : epoch_order(47, parts, 3, epoch)) ++times[image];
    for (int64_t image = 0; image < 47; ++image) drawn[image].push_back(times[image]);
  }
  for (int64_t epochs = 1; epochs <= 40; ++epochs) {
    for (const auto& [first, end] : {std::pair{0, 7}, std::pair{7, 47}}) {
      int64_t least = INT64_MAX;
      int64_t most = 0;
      for (int64_t image = first; image < end; ++image) {
        const auto& times = drawn[image];
        const int64_t sum = std::accumulate(times.begin(), times.begin() + epochs, int64_t{0});
        least = std::min(least, sum);
        most = std::max(most, sum);
      }
      EXPECT_LE(most - least, 1) << "after " << epochs << " epochs";
    }
  }
}

TEST(EpochOrder, FollowsFromTheSeedAndTheEpochAlone) {
  const std::vector<SetPart> parts{{30, 1}, {20, 2}};
  const Order seventh = epoch_order(50, parts, 1, 7);
  for (const int64_t epoch : {1, 100, 3}) (void)epoch_order(50, parts, 1, epoch);
  EXPECT_EQ(epoch_order(50, parts, 1, 7), seventh);
  EXPECT_NE(epoch_order(50, parts, 2, 7), seventh);
  EXPECT_NE(epoch_order(50, parts, 1, 8), seventh);
}

TEST(EpochOrder, MixesTheParts) {
  const std::vector<SetPart> parts{{500, 1}, {500, 1}};
  const Order order = epoch_order(1000, parts, 1, 1);
  const Order begin(order.begin(), order.begin() + 200);
  EXPECT_NEAR(static_cast<double>(counts_of(begin, parts)[0]), 100, 30);
  // Two parts of the same size are not drawn in the same order.
  Order first;
  Order second;
  for (const int64_t image : order) (image < 500 ? first : second).push_back(image % 500);
  EXPECT_NE(first, second);
}

}  // namespace
}  // namespace flexae
