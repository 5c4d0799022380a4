#include "analysis/edge_schedule.h"

#include <algorithm>
#include <cmath>

#include "core/base/random.h"

namespace flexae {
namespace {

/// Edges that are drawn from a point in a turn, on average, at most. Where they are many more, they
/// throw it far beyond its neighbours.
constexpr double kDrawnInATurn = 1.5;
constexpr int64_t kMostTurns = 64;

uint8_t turn_of(int64_t from, int64_t to, int64_t turns) {
  // Not of the seed: which turn it is has hardly any part in the result.
  return static_cast<uint8_t>(random_bits(/*seed=*/0, RandomPurpose::kShuffle,
                                          static_cast<uint64_t>(from), static_cast<uint64_t>(to)) %
                              static_cast<uint64_t>(turns));
}

}  // namespace

EdgeSchedule::EdgeSchedule(const FuzzyGraph& graph)
    : graph_(graph),
      rates_(graph.strengths),
      turns_(graph.strengths.size()),
      due_(graph.strengths.size()),
      stretches_(static_cast<size_t>(graph.points())) {
  if (rates_.empty()) return;
  const float greatest = *std::max_element(rates_.begin(), rates_.end());
  double drawn = 0;
  for (float& rate : rates_) {
    rate /= greatest;
    drawn += static_cast<double>(rate);
  }
  drawn /= static_cast<double>(graph.points());
  turns_count_ =
      std::clamp(static_cast<int64_t>(std::ceil(drawn / kDrawnInATurn)), kLeastTurns, kMostTurns);
  for (int64_t i = 0; i < graph.points(); ++i) {
    const int64_t begin = graph.begins[static_cast<size_t>(i)];
    const int64_t end = graph.begins[static_cast<size_t>(i) + 1];
    most_ = std::max(most_, end - begin);
    for (int64_t e = begin; e < end; ++e) {
      const int64_t neighbour = graph.neighbours[static_cast<size_t>(e)];
      turns_[static_cast<size_t>(e)] = {turn_of(i, neighbour, turns_count_),
                                        turn_of(neighbour, i, turns_count_)};
    }
  }
}

}  // namespace flexae
