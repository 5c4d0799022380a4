#include "data/memory_gate.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace flexae {
namespace {

TEST(MemoryGate, NeverLetsMoreThroughThanItsLimitUnlessOneAlone) {
  MemoryGate gate(100);
  std::atomic<int64_t> taken = 0;
  std::atomic<int> inside = 0;
  std::atomic<int> broken = 0;
  std::atomic<int> together = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int round = 0; round < 300; ++round) {
        const int64_t bytes = (t * 37 + round * 13) % 130;  // some are more than the limit
        const MemoryGate::Share share(gate, bytes);
        const int64_t now = taken += bytes;
        const int others = inside++;
        if (now > 100 && bytes != now) ++broken;
        if (others > 0) ++together;
        std::this_thread::yield();
        --inside;
        taken -= bytes;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(broken, 0);
  EXPECT_GT(together, 0);
  EXPECT_EQ(taken, 0);
}

}  // namespace
}  // namespace flexae
