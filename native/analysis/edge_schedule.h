#pragma once

#include <cstdint>
#include <vector>

#include "analysis/fuzzy_graph.h"

namespace flexae {

/// In which epochs each edge of a graph is drawn, the strongest in every one, others in proportion;
/// and in which of an epoch's turns. An edge is drawn from both its ends, in a turn for each.
class EdgeSchedule {
 public:
  explicit EdgeSchedule(const FuzzyGraph& graph);

  /// Turns of an epoch: the more, the more edges a point has that are drawn in one.
  [[nodiscard]] int64_t turns() const { return turns_count_; }

  /// The most edges that a point has.
  [[nodiscard]] int64_t most() const { return most_; }

  /// Finds which edges of points [first, last) are drawn in an epoch, for what is asked next about
  /// them. Other threads may do the same for others; an epoch has the same stretches throughout.
  void begin_epoch(int64_t first, int64_t last, uint64_t epoch) {
    const auto now = static_cast<float>(epoch);
    const float before = now - 1;
    auto due = static_cast<size_t>(graph_.begins[static_cast<size_t>(first)]);
    for (auto row = static_cast<size_t>(first); row < static_cast<size_t>(last); ++row) {
      const size_t begin = due;
      const auto end = static_cast<size_t>(graph_.begins[row + 1]);
      for (auto edge = static_cast<size_t>(graph_.begins[row]); edge < end; ++edge) {
        // Without a branch, for nobody could guess it.
        due_[due] = {graph_.neighbours[edge], turns_[edge]};
        const auto drawn = static_cast<int32_t>(now * rates_[edge]);
        due += static_cast<size_t>(drawn > static_cast<int32_t>(before * rates_[edge]));
      }
      stretches_[row] = {static_cast<int64_t>(begin), static_cast<int32_t>(due - begin)};
    }
  }

  /// What drawn_in() found.
  struct Drawn {
    int64_t attracting;  ///< Entries of the neighbours.
    int64_t own;         ///< Of these, how many edges were drawn from this point.
  };

  /// Who attracts a point in a turn: the neighbours whose edges are drawn from it, and if
  /// `mirrored`, from themselves. `neighbours` has room for 2·most() + 1.
  Drawn drawn_in(int64_t point, uint64_t epoch, int64_t turn, bool mirrored,
                 int32_t* neighbours) const {
    const Stretch stretch = stretches_[static_cast<size_t>(point)];
    const Due* due = due_.data() + stretch.begin;
    // An edge has another turn in the next epoch.
    const auto wanted = static_cast<uint32_t>((static_cast<uint64_t>(turn) + epoch) %
                                              static_cast<uint64_t>(turns_count_));
    Drawn drawn{0, 0};
    for (int32_t i = 0; i < stretch.count; ++i) {
      neighbours[drawn.attracting] = due[i].neighbour;
      const auto own = static_cast<int64_t>(due[i].turns.own == wanted);
      drawn.attracting += own;
      drawn.own += own;
      neighbours[drawn.attracting] = due[i].neighbour;
      drawn.attracting += static_cast<int64_t>(mirrored && due[i].turns.mirrored == wanted);
    }
    return drawn;
  }

 private:
  static constexpr int64_t kLeastTurns = 6;

  struct Turns {
    uint8_t own;
    uint8_t mirrored;
  };
  struct Due {
    int32_t neighbour;
    Turns turns;
  };
  struct Stretch {
    int64_t begin;
    int32_t count;
  };

  const FuzzyGraph& graph_;
  std::vector<float> rates_;
  std::vector<Turns> turns_;
  std::vector<Due> due_;
  std::vector<Stretch> stretches_;  // of due_, a point each
  int64_t most_ = 0;
  int64_t turns_count_ = kLeastTurns;
};

}  // namespace flexae
