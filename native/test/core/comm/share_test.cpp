#include "core/comm/share.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

namespace flexae {
namespace {

TEST(Share, PartsFollowOnEachOtherAndAreAlikeUpToOne) {
  for (const int size : {1, 2, 3, 4, 7, 512}) {
    for (const int64_t images : {0, 1, 2, 3, 8, 13, 128, 1000}) {
      int64_t next = 0;
      for (int rank = 0; rank < size; ++rank) {
        const Share share = share_of(images, rank, size);
        EXPECT_EQ(share.first, next);
        EXPECT_EQ(share.whole, images);
        EXPECT_GE(share.images, images / size);
        EXPECT_LE(share.images, images / size + 1);
        next += share.images;
      }
      EXPECT_EQ(next, images);
    }
  }
}

TEST(Share, TheLastBatchGivesNobodyMoreThanAWholeOne) {
  // So that a source of batches of one size gives each part by itself.
  for (int size = 1; size <= 9; ++size) {
    for (int rank = 0; rank < size; ++rank) {
      for (int64_t batch = 1; batch <= 20; ++batch) {
        for (int64_t last = 1; last < batch; ++last) {
          EXPECT_LE(share_of(last, rank, size).images, share_of(batch, rank, size).images);
        }
      }
    }
  }
}

TEST(Share, TheRanksPartsOfABatchAreTheBatch) {
  std::vector<int64_t> order(23);
  std::iota(order.begin(), order.end(), 100);
  const int size = 3;
  std::vector<std::vector<int64_t>> parts;
  for (int rank = 0; rank < size; ++rank) parts.push_back(shares_of(order, 8, rank, size));
  EXPECT_EQ(parts[0], (std::vector<int64_t>{100, 101, 102, 108, 109, 110, 116, 117, 118}));
  EXPECT_EQ(parts[1], (std::vector<int64_t>{103, 104, 105, 111, 112, 113, 119, 120}));
  EXPECT_EQ(parts[2], (std::vector<int64_t>{106, 107, 114, 115, 121, 122}));
}

}  // namespace
}  // namespace flexae
