#include "core/base/parallel.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <optional>
#include <stdexcept>
#include <vector>

namespace flexae {
namespace {

/// The items that are left of a stretch, taken from the front by its own thread and from behind by
/// others. Both ends are in one word, which changes as one.
class alignas(64) Stretch {
 public:
  void reset(int64_t begin, int64_t end) {
    ends_.store(packed(static_cast<uint32_t>(begin), static_cast<uint32_t>(end)),
                std::memory_order_relaxed);
  }

  [[nodiscard]] int64_t left() const {
    const uint64_t ends = ends_.load(std::memory_order_relaxed);
    return int64_t{last(ends)} - int64_t{first(ends)};
  }

  std::optional<int64_t> take_first() {
    return take([](uint64_t ends) { return packed(first(ends) + 1, last(ends)); },
                [](uint64_t ends) { return first(ends); });
  }

  std::optional<int64_t> take_last() {
    return take([](uint64_t ends) { return packed(first(ends), last(ends) - 1); },
                [](uint64_t ends) { return last(ends) - 1; });
  }

 private:
  static uint64_t packed(uint32_t first, uint32_t last) { return uint64_t{last} << 32 | first; }
  static uint32_t first(uint64_t ends) { return static_cast<uint32_t>(ends); }
  static uint32_t last(uint64_t ends) { return static_cast<uint32_t>(ends >> 32); }

  template <typename Rest, typename Item>
  std::optional<int64_t> take(Rest rest, Item item) {
    // Items do not depend on each other: what they read was there before all threads began.
    uint64_t ends = ends_.load(std::memory_order_relaxed);
    while (first(ends) < last(ends)) {
      if (ends_.compare_exchange_weak(ends, rest(ends), std::memory_order_relaxed)) {
        return item(ends);
      }
    }
    return std::nullopt;
  }

  std::atomic<uint64_t> ends_{0};
};

}  // namespace

void parallel_for(int64_t count, const std::function<void(int64_t item, int thread)>& body) {
  if (count > std::numeric_limits<uint32_t>::max()) {
    throw std::length_error("too many items to share out: " + std::to_string(count));
  }
  const auto threads = static_cast<int64_t>(at::get_num_threads());
  const int64_t stretches_count = std::clamp<int64_t>(threads, 1, std::max<int64_t>(count, 1));
  std::vector<Stretch> stretches(static_cast<size_t>(stretches_count));
  for (int64_t i = 0; i < stretches_count; ++i) {
    stretches[static_cast<size_t>(i)].reset(i * count / stretches_count,
                                            (i + 1) * count / stretches_count);
  }
  at::parallel_for(0, stretches_count, 1, [&](int64_t begin, int64_t end) {
    const int thread = at::get_thread_num();
    // One by one, or all of them where there is no other thread.
    for (int64_t own = begin; own < end; ++own) {
      while (const auto item = stretches[static_cast<size_t>(own)].take_first()) {
        body(*item, thread);
      }
    }
    for (;;) {
      const auto most =
          std::max_element(stretches.begin(), stretches.end(),
                           [](const Stretch& a, const Stretch& b) { return a.left() < b.left(); });
      if (most->left() == 0) return;
      if (const auto item = most->take_last()) body(*item, thread);
    }
  });
}

}  // namespace flexae
