#include "analysis/clustering_scores.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "test/analysis/expected.h"
#include "test/analysis/made_points.h"

namespace flexae {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)

/// As drawn_labels() of make_expected.py.
at::Tensor drawn_labels(int64_t n, int64_t count, uint64_t seed) {
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < n; ++i) {
    const double place = uniform_at(seed, static_cast<uint64_t>(i)) * static_cast<double>(count);
    labels.push_back(static_cast<int64_t>(place));
  }
  return at::tensor(labels, at::kLong);
}

void expect_scores(const ClusteringScores& scores, const double (&expected)[4]) {
  EXPECT_NEAR(scores.accuracy, expected[0], 1e-12);
  EXPECT_NEAR(scores.nmi, expected[1], 1e-9);
  EXPECT_NEAR(scores.ari, expected[2], 1e-9);
  EXPECT_NEAR(scores.purity, expected[3], 1e-12);
}

TEST(ClusteringScores, AreThoseOfScikitLearn) {
  expect_scores(clustering_scores(drawn_labels(500, 6, 5), drawn_labels(500, 9, 6)),
                expected::kScoresOfUnrelated);
  const at::Tensor related = drawn_labels(500, 7, 7);
  const at::Tensor classes = related.div(2, "floor");
  classes.slice(0, 0, 500, 5).copy_(drawn_labels(100, 3, 8));
  expect_scores(clustering_scores(related.to(at::kInt), classes), expected::kScoresOfRelated);
  expect_scores(clustering_scores(related, 10 - related), expected::kScoresOfEqual);
  expect_scores(clustering_scores(at::zeros({500}, at::kInt), classes),
                expected::kScoresOfOneLabel);
  expect_scores(clustering_scores(at::arange(500), classes), expected::kScoresOfSingles);
  const ClusteringScores trivial =
      clustering_scores(at::zeros({5}, at::kInt), at::full({5}, 3, at::kLong));
  expect_scores(trivial, {1, 1, 1, 1});
}

TEST(ClusteringScores, EntriesMayStandForManyPoints) {
  const at::Tensor labels = drawn_labels(40, 4, 11);
  const at::Tensor classes = drawn_labels(40, 3, 12);
  const at::Tensor counts = drawn_labels(40, 9, 13) + 1;
  const ClusteringScores one_by_one =
      clustering_scores(labels.repeat_interleave(counts), classes.repeat_interleave(counts));
  const ClusteringScores counted = clustering_scores(labels, classes, counts.to(at::kDouble));
  expect_scores(counted, {one_by_one.accuracy, one_by_one.nmi, one_by_one.ari, one_by_one.purity});
}

TEST(ClusteringScores, MatchingIsThatOfScipy) {
  std::vector<double> costs;
  for (uint64_t i = 0; i < 1600; ++i) costs.push_back(std::floor(uniform_at(9, i) * 1000));
  const std::vector<int64_t> columns = match_rows(costs, 40);
  double sum = 0;
  for (size_t r = 0; r < 40; ++r) sum += costs[r * 40 + static_cast<size_t>(columns[r])];
  EXPECT_EQ(sum, expected::kLeastCost);
}

TEST(ClusteringScores, NoMatchingCostsLess) {
  const uint64_t seed = random_seed(13);
  SCOPED_TRACE("FLEXAE_SEED=" + std::to_string(seed));
  for (uint64_t n = 1; n <= 6; ++n) {
    std::vector<double> costs;
    for (uint64_t i = 0; i < n * n; ++i) {
      costs.push_back(std::floor(uniform_at(seed + n, i) * 9) - 4);
    }
    const auto cost = [&](const std::vector<int64_t>& columns) {
      double sum = 0;
      for (size_t r = 0; r < n; ++r) sum += costs[r * n + static_cast<size_t>(columns[r])];
      return sum;
    };
    std::vector<int64_t> order(n);
    std::iota(order.begin(), order.end(), 0);
    double least = std::numeric_limits<double>::infinity();
    do {
      least = std::min(least, cost(order));
    } while (std::next_permutation(order.begin(), order.end()));
    std::vector<int64_t> columns = match_rows(costs, static_cast<int64_t>(n));
    EXPECT_EQ(cost(columns), least) << n;
    std::sort(columns.begin(), columns.end());
    std::sort(order.begin(), order.end());
    EXPECT_EQ(columns, order);
  }
}

TEST(ClusteringScores, SayWhatIsWrong) {
  const auto code = [](const at::Tensor& labels, const at::Tensor& classes,
                       const at::Tensor& counts = {}) {
    try {
      (void)clustering_scores(labels, classes, counts);
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::kInternal;
  };
  EXPECT_EQ(code(at::arange(5), at::arange(6)), ErrorCode::kData);
  EXPECT_EQ(code(at::arange(5), at::rand({5})), ErrorCode::kData);
  EXPECT_EQ(code(at::empty({0}, at::kInt), at::empty({0}, at::kInt)), ErrorCode::kData);
  EXPECT_EQ(code(at::arange(5000), at::arange(5000)), ErrorCode::kData);
  for (const double bad : {0.0, 1.5, -1.0}) {
    const at::Tensor counts = at::full({5}, bad, at::kDouble);
    EXPECT_EQ(code(at::arange(5), at::arange(5), counts), ErrorCode::kData) << bad;
  }
  EXPECT_EQ(code(at::arange(5), at::arange(5), at::ones({4}, at::kDouble)), ErrorCode::kData);
  EXPECT_EQ(code(at::arange(5), at::arange(5), at::ones({5})), ErrorCode::kData);
}

}  // namespace
}  // namespace flexae
