#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <thread>
#include <vector>

namespace flexae {

/// For each point the nearest of all that were offered so far, each once. Threads offer in any
/// order: what is kept does not depend on it, for points at equal distances are kept by their
/// numbers.
class NeighbourLists {
 public:
  /// A neighbour that is kept.
  struct Entry {
    float square;   ///< of the distance
    int32_t point;  ///< −1 where there is none yet
    bool fresh;     ///< since mark_old()
    [[nodiscard]] bool before(float other_square, int32_t other_point) const {
      return square != other_square ? square < other_square : point < other_point;
    }
  };

  NeighbourLists(int64_t points, int64_t length)
      : length_(length),
        entries_(static_cast<size_t>(points * length),
                 {std::numeric_limits<float>::infinity(), -1, false}),
        bounds_(static_cast<size_t>(points), std::numeric_limits<float>::infinity()),
        locks_(std::make_unique<std::atomic_flag[]>(static_cast<size_t>(points))) {}

  [[nodiscard]] int64_t length() const { return length_; }
  /// The nearest first. Not while others offer.
  Entry* begin(int64_t point) { return entries_.data() + point * length_; }
  Entry* end(int64_t point) { return begin(point) + length_; }

  /// What is farther is not kept.
  [[nodiscard]] float bound(int64_t point) {
    return std::atomic_ref<float>(bounds_[static_cast<size_t>(point)])
        .load(std::memory_order_relaxed);
  }

  void offer(int64_t point, float square, int32_t other) {
    if (square > bound(point)) return;
    std::atomic_flag& lock = locks_[static_cast<size_t>(point)];
    while (lock.test_and_set(std::memory_order_acquire)) std::this_thread::yield();
    insert(point, square, other);
    lock.clear(std::memory_order_release);
  }

 private:
  void insert(int64_t point, float square, int32_t other) {
    Entry* const first = begin(point);
    Entry* const last = end(point);
    Entry* const place = std::lower_bound(first, last, 0, [&](const Entry& entry, int) {
      return entry.point >= 0 && entry.before(square, other);
    });
    // A point's distance is always the same, so a double of it would lie here.
    if (place == last || (place->point == other && place->square == square)) return;
    std::move_backward(place, last - 1, last);
    *place = {square, other, true};
    std::atomic_ref<float>(bounds_[static_cast<size_t>(point)])
        .store((last - 1)->square, std::memory_order_relaxed);
  }

  int64_t length_;
  std::vector<Entry> entries_;
  std::vector<float> bounds_;
  std::unique_ptr<std::atomic_flag[]> locks_;
};

}  // namespace flexae
