#include "analysis/edge_schedule.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>
#include <vector>

#include "test/analysis/map_points.h"

namespace flexae {
namespace {

TEST(EdgeSchedule, DrawsEdgesInProportionAndOnceFromEachEnd) {
  constexpr uint64_t kEpochs = 80;
  const FuzzyGraph graph = fuzzy_graph(
      nearest_neighbours(test::uniform_points(60, 3, 95), 9, NeighbourMetric::kEuclidean));
  EdgeSchedule schedule(graph);
  const float greatest = *std::max_element(graph.strengths.begin(), graph.strengths.end());
  std::vector<int32_t> neighbours(static_cast<size_t>(2 * schedule.most() + 1));
  std::map<std::pair<int64_t, int64_t>, int> entries;
  int64_t own = 0;
  for (uint64_t epoch = 1; epoch < kEpochs; ++epoch) {
    schedule.begin_epoch(0, 25, epoch);
    schedule.begin_epoch(25, 60, epoch);
    for (int64_t i = 0; i < 60; ++i) {
      for (int64_t turn = 0; turn < schedule.turns(); ++turn) {
        const auto drawn = schedule.drawn_in(i, epoch, turn, /*mirrored=*/true, neighbours.data());
        own += drawn.own;
        for (int64_t n = 0; n < drawn.attracting; ++n) {
          ++entries[{i, neighbours[static_cast<size_t>(n)]}];
        }
      }
    }
  }
  int64_t expected_own = 0;
  for (int64_t i = 0; i < 60; ++i) {
    for (auto e = static_cast<size_t>(graph.begins[static_cast<size_t>(i)]);
         e < static_cast<size_t>(graph.begins[static_cast<size_t>(i) + 1]); ++e) {
      const double draws = std::floor((kEpochs - 1) * (graph.strengths[e] / greatest));
      // From this end, and from the other.
      EXPECT_NEAR((entries[{i, graph.neighbours[e]}]), 2 * draws, 2) << i;
      expected_own += static_cast<int64_t>(draws);
    }
  }
  EXPECT_NEAR(static_cast<double>(own), static_cast<double>(expected_own), 5);
}

TEST(EdgeSchedule, PullsBothEndsInTheSameTurn) {
  const FuzzyGraph graph = fuzzy_graph(
      nearest_neighbours(test::uniform_points(60, 3, 96), 9, NeighbourMetric::kEuclidean));
  EdgeSchedule schedule(graph);
  std::vector<int32_t> neighbours(static_cast<size_t>(2 * schedule.most() + 1));
  for (uint64_t epoch = 1; epoch < 20; ++epoch) {
    schedule.begin_epoch(0, 60, epoch);
    for (int64_t turn = 0; turn < schedule.turns(); ++turn) {
      std::map<std::pair<int64_t, int64_t>, int> pulls;
      for (int64_t i = 0; i < 60; ++i) {
        const auto drawn = schedule.drawn_in(i, epoch, turn, /*mirrored=*/true, neighbours.data());
        for (int64_t n = 0; n < drawn.attracting; ++n) {
          ++pulls[{i, neighbours[static_cast<size_t>(n)]}];
        }
      }
      for (const auto& [ends, count] : pulls) {
        EXPECT_EQ((pulls[{ends.second, ends.first}]), count) << epoch << " " << turn;
      }
    }
  }
}

}  // namespace
}  // namespace flexae
