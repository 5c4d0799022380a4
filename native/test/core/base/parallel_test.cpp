#include "core/base/parallel.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

namespace flexae {
namespace {

class ParallelFor : public ::testing::Test {
 protected:
  void TearDown() override { at::set_num_threads(threads_); }

 private:
  int threads_ = at::get_num_threads();
};

TEST_F(ParallelFor, GivesEveryItemToOneThread) {
  for (const int threads : {1, 2, 3, 5}) {
    at::set_num_threads(threads);
    for (const int64_t count : {0, 1, 2, 4, 7, 100}) {
      std::vector<std::atomic<int>> calls(static_cast<size_t>(count));
      std::atomic<bool> known{true};
      parallel_for(count, [&](int64_t item, int thread) {
        ++calls.at(static_cast<size_t>(item));
        if (thread < 0 || thread >= threads) known = false;
      });
      for (const auto& c : calls) EXPECT_EQ(c, 1) << threads << " threads, " << count << " items";
      EXPECT_TRUE(known);
    }
  }
}

TEST_F(ParallelFor, LetsOthersTakeWhatASlowThreadHasLeft) {
  at::set_num_threads(2);
  constexpr int64_t kItems = 16;
  std::atomic<int64_t> others{0};
  bool taken = false;
  parallel_for(kItems, [&](int64_t item, int) {
    if (item != 0) {
      ++others;
      return;
    }
    // This item's thread is held up until all the others are done.
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (others < kItems - 1 && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::yield();
    }
    taken = others == kItems - 1;
  });
  EXPECT_TRUE(taken);
}

TEST_F(ParallelFor, PassesAnExceptionOn) {
  at::set_num_threads(2);
  EXPECT_THROW(parallel_for(8, [](int64_t, int) { throw std::runtime_error("no"); }),
               std::runtime_error);
}

}  // namespace
}  // namespace flexae
