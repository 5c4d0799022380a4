#include "core/cpu/image_groups.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <vector>

namespace flexae {
namespace {

class ImageGroups : public testing::Test {
 protected:
  void TearDown() override { at::set_num_threads(before_); }

 private:
  int before_ = at::get_num_threads();
};

TEST_F(ImageGroups, HaveEveryImageOnce) {
  for (const int threads : {1, 2, 3}) {
    at::set_num_threads(threads);
    for (const int64_t images : {1, 5, 32, 101}) {
      for (const int64_t group : {1, 4, 64}) {
        std::vector<std::atomic<int>> seen(static_cast<size_t>(images));
        std::atomic<int64_t> most{0};
        for_each_group(images, group, [&](int64_t first, int64_t count, int thread) {
          EXPECT_LT(thread, threads);
          int64_t before = most.load();
          while (count > before && !most.compare_exchange_weak(before, count)) {
          }
          for (int64_t i = first; i < first + count; ++i) ++seen[static_cast<size_t>(i)];
        });
        for (const auto& times : seen) ASSERT_EQ(times.load(), 1);
        EXPECT_LE(most.load(), group);
      }
    }
  }
}

TEST_F(ImageGroups, PartsCoverTheImagesInOrder) {
  for (const int threads : {1, 2, 3}) {
    at::set_num_threads(threads);
    for (const int64_t images : {1, 7, 32, 256}) {
      for (const int64_t sums : {int64_t{10}, int64_t{1} << 20}) {
        const std::vector<int64_t> parts = image_parts(images, 2, sums);
        EXPECT_EQ(parts.front(), 0);
        EXPECT_EQ(parts.back(), images);
        EXPECT_TRUE(std::is_sorted(parts.begin(), parts.end()));
        // Sums that are many are not made more often than there are threads.
        if (sums > 1 << 18) {
          EXPECT_EQ(parts.size(), static_cast<size_t>(threads) + 1);
        }
      }
    }
  }
}

}  // namespace
}  // namespace flexae
