#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

namespace flexae {

/// For each query the few nearest of what was offered, in a heap each. Queries may be offered to
/// from several threads, one query from one thread at a time.
class KeptNearest {
 public:
  /// A point that is kept.
  struct Entry {
    float order;    ///< How far it is, in any measure that grows with distance.
    int32_t point;  ///< Its number.
  };

  KeptNearest(int64_t queries, int64_t capacity)
      : capacity_(capacity),
        entries_(static_cast<size_t>(queries * capacity)),
        counts_(static_cast<size_t>(queries)),
        bounds_(static_cast<size_t>(queries), std::numeric_limits<float>::infinity()) {}

  /// What is not below is not kept, a query after the other.
  [[nodiscard]] const float* bounds() const { return bounds_.data(); }

  [[nodiscard]] const Entry* begin(int64_t query) const {
    return entries_.data() + query * capacity_;
  }
  [[nodiscard]] const Entry* end(int64_t query) const {
    return begin(query) + counts_[static_cast<size_t>(query)];
  }

  void offer(int64_t query, float order, int32_t point) {
    Entry* heap = entries_.data() + query * capacity_;
    int32_t& count = counts_[static_cast<size_t>(query)];
    float& bound = bounds_[static_cast<size_t>(query)];
    if (count < capacity_) {
      heap[count++] = {order, point};
      std::push_heap(heap, heap + count, nearer);
      if (count == capacity_) bound = heap[0].order;
      return;
    }
    if (!(order < bound)) return;
    // The farthest makes room: what comes in sinks to its place.
    int64_t hole = 0;
    for (;;) {
      int64_t child = 2 * hole + 1;
      if (child >= capacity_) break;
      if (child + 1 < capacity_ && heap[child].order < heap[child + 1].order) ++child;
      if (!(order < heap[child].order)) break;
      heap[hole] = heap[child];
      hole = child;
    }
    heap[hole] = {order, point};
    bound = heap[0].order;
  }

 private:
  static bool nearer(const Entry& a, const Entry& b) { return a.order < b.order; }

  int64_t capacity_;
  std::vector<Entry> entries_;
  std::vector<int32_t> counts_;
  std::vector<float> bounds_;
};

}  // namespace flexae
