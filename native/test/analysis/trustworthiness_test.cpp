#include "analysis/trustworthiness.h"

#include <utility>

#include "test/analysis/map_expected.h"
#include "test/analysis/map_points.h"

namespace flexae {
namespace {

TEST(Trustworthiness, IsScikitLearns) {
  const at::Tensor points = test::uniform_points(150, 6, 5);
  const at::Tensor map = points.narrow(1, 0, 2);
  const std::pair<NeighbourMetric, at::Tensor> metrics[] = {
      {NeighbourMetric::kEuclidean, test::expected(test::kTrustworthinessEuclidean, {4})},
      {NeighbourMetric::kCosine, test::expected(test::kTrustworthinessCosine, {4})}};
  for (const auto& [metric, expected] : metrics) {
    int64_t i = 0;
    for (const int64_t k : {1, 5, 12, 74}) {
      EXPECT_NEAR(trustworthiness(points, map, {.n_neighbors = k, .metric = metric}),
                  expected[i++].item<double>(), 1e-9)
          << k;
    }
  }
}

TEST(Trustworthiness, IsOneWhereNothingChanged) {
  const at::Tensor points = test::uniform_points(200, 4, 71);
  EXPECT_EQ(trustworthiness(points, points * 3 + 1), 1);
  // A map of the points in another order says nothing.
  EXPECT_LT(trustworthiness(points, points.flip(0)), 0.6);
}

TEST(Trustworthiness, OfASampleIsNearThatOfAll) {
  const at::Tensor points = test::uniform_points(2000, 5, 72);
  const at::Tensor map = points.narrow(1, 0, 3).contiguous();
  const double all = trustworthiness(points, map);
  const double some = trustworthiness(points, map, {.sample = 500, .seed = 3});
  EXPECT_NE(some, all);
  EXPECT_NEAR(some, all, 0.02);
  EXPECT_NE(trustworthiness(points, map, {.sample = 500, .seed = 4}), some);
  // More than there are is all.
  EXPECT_EQ(trustworthiness(points, map, {.sample = 9999}), all);
  test::with_threads([&](int) {
    EXPECT_EQ(trustworthiness(points, map), all);
    EXPECT_EQ(trustworthiness(points, map, {.sample = 500, .seed = 3}), some);
  });
}

TEST(Trustworthiness, OfPointsInOnePlaceIsANumber) {
  const at::Tensor points = at::floor(test::uniform_points(300, 2, 73) * 4);
  const double score = trustworthiness(points, points);
  EXPECT_EQ(score, 1);
}

TEST(Trustworthiness, RefusesWhatCannotBe) {
  const at::Tensor points = test::uniform_points(20, 4, 74);
  test::expect_error(ErrorCode::kConfig, "1 to 9 neighbours of 20 points, not of 10",
                     [&] { trustworthiness(points, points, {.n_neighbors = 10}); });
  test::expect_error(ErrorCode::kConfig, "a sample of -1",
                     [&] { trustworthiness(points, points, {.sample = -1}); });
  test::expect_error(ErrorCode::kData, "of 20 points the map has 19",
                     [&] { trustworthiness(points, points.narrow(0, 0, 19)); });
}

}  // namespace
}  // namespace flexae
