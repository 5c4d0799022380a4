#include "analysis/neighbours.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <tuple>
#include <vector>

#include "test/analysis/map_expected.h"
#include "test/analysis/map_points.h"

namespace flexae {
namespace {

/// Distances of all queries from all points in fp64.
at::Tensor all_distances(const at::Tensor& queries, const at::Tensor& points,
                         NeighbourMetric metric) {
  at::Tensor q = queries.to(at::kDouble);
  at::Tensor p = points.to(at::kDouble);
  if (metric == NeighbourMetric::kCosine) {
    const auto directions = [](const at::Tensor& x) {
      return x / x.norm(2, 1, /*keepdim=*/true).clamp_min(1e-300);
    };
    return 1 - at::mm(directions(q), directions(p).t());
  }
  return (q.unsqueeze(1) - p.unsqueeze(0)).pow(2).sum(2).sqrt();
}

/// Compares with a sort of all distances; of points at equal distances the first must come first.
void expect_nearest(const Neighbours& found, at::Tensor distances, int64_t k, bool exclude_self) {
  if (exclude_self) distances.fill_diagonal_(std::numeric_limits<double>::infinity());
  const auto [sorted, order] = at::sort(distances, /*stable=*/std::optional<bool>(true), /*dim=*/1);
  ASSERT_EQ(found.indices.sizes(), at::IntArrayRef({distances.size(0), k}));
  ASSERT_EQ(found.distances.sizes(), found.indices.sizes());
  EXPECT_TRUE(at::equal(found.indices.to(at::kLong), order.narrow(1, 0, k)));
  EXPECT_TRUE(at::allclose(found.distances.to(at::kDouble), sorted.narrow(1, 0, k), 1e-6, 1e-12));
}

TEST(Neighbours, AreScikitLearns) {
  const at::Tensor points = test::uniform_points(50, 4, 2);
  const Neighbours near = nearest_neighbours(points, 4, NeighbourMetric::kEuclidean);
  EXPECT_TRUE(
      at::equal(near.indices.to(at::kDouble), test::expected(test::kEuclideanNeighbours, {50, 4})));
  EXPECT_TRUE(at::allclose(near.distances.to(at::kDouble),
                           test::expected(test::kEuclideanDistances, {50, 4}), 1e-6, 0));
  const Neighbours alike = nearest_neighbours(points, 4, NeighbourMetric::kCosine);
  EXPECT_TRUE(
      at::equal(alike.indices.to(at::kDouble), test::expected(test::kCosineNeighbours, {50, 4})));
  EXPECT_TRUE(at::allclose(alike.distances.to(at::kDouble),
                           test::expected(test::kCosineDistances, {50, 4}), 1e-6, 1e-9));
}

TEST(Neighbours, AreThoseOfASortOfAllDistances) {
  const uint64_t seed = test::drawn_seed() % (1 << 20);
  for (const auto& [count, width, k] :
       {std::tuple{2, 3, 1}, {17, 1, 16}, {300, 5, 7}, {1100, 10, 20}, {600, 129, 30}}) {
    for (const NeighbourMetric metric : {NeighbourMetric::kEuclidean, NeighbourMetric::kCosine}) {
      SCOPED_TRACE(testing::Message() << count << " " << width << " " << static_cast<int>(metric));
      // One number of each is a direction with one other at most.
      if (width == 1 && metric == NeighbourMetric::kCosine) continue;
      const at::Tensor points = test::uniform_points(count, width, seed) - 0.5;
      const at::Tensor distances = all_distances(points, points, metric);
      expect_nearest(nearest_neighbours(points, k, metric), distances.clone(), k, true);
      const at::Tensor queries = test::uniform_points(77, width, seed + 1) - 0.5;
      expect_nearest(nearest_neighbours_of(queries, points, k, metric),
                     all_distances(queries, points, metric), k, false);
    }
  }
}

TEST(Neighbours, FarFromTheOriginAreExact) {
  // Squares of these numbers have no digits left for the distances.
  const at::Tensor points = test::uniform_points(900, 3, 11) + 30000;
  expect_nearest(nearest_neighbours(points, 10, NeighbourMetric::kEuclidean),
                 all_distances(points, points, NeighbourMetric::kEuclidean), 10, true);
  // Two groups far apart: no centre is near to both.
  const at::Tensor apart = test::uniform_points(900, 3, 11);
  apart.narrow(0, 450, 450).add_(100000);
  expect_nearest(nearest_neighbours(apart, 10, NeighbourMetric::kEuclidean),
                 all_distances(apart, apart, NeighbourMetric::kEuclidean), 10, true);
}

TEST(Neighbours, OfVeryLargeAndVerySmallNumbersAreFound) {
  const at::Tensor points = test::uniform_points(200, 4, 12);
  const Neighbours usual = nearest_neighbours(points, 5, NeighbourMetric::kEuclidean);
  for (const int power : {-80, 100}) {
    const double scale = std::exp2(power);
    const Neighbours scaled = nearest_neighbours(points * scale, 5, NeighbourMetric::kEuclidean);
    EXPECT_TRUE(test::same(scaled.indices, usual.indices)) << power;
    EXPECT_TRUE(test::same(scaled.distances, usual.distances * scale)) << power;
  }
}

TEST(Neighbours, AtEqualDistancesComeByIndex) {
  // A grid of whole numbers, each point there several times.
  at::Tensor points = at::floor(test::uniform_points(700, 2, 13) * 6);
  expect_nearest(nearest_neighbours(points, 40, NeighbourMetric::kEuclidean),
                 all_distances(points, points, NeighbourMetric::kEuclidean), 40, true);
  points = at::ones({300, 3});
  const Neighbours all_same = nearest_neighbours(points, 3, NeighbourMetric::kEuclidean);
  EXPECT_EQ(all_same.distances.abs().max().item<float>(), 0);
  EXPECT_TRUE(at::equal(all_same.indices[0], at::tensor({1, 2, 3}, at::kInt)));
  EXPECT_TRUE(at::equal(all_same.indices[200], at::tensor({0, 1, 2}, at::kInt)));
}

TEST(Neighbours, IncludeThePointItselfWhereThatIsWanted) {
  const at::Tensor points = test::uniform_points(100, 4, 14);
  const Neighbours found =
      nearest_neighbours(points, 100, NeighbourMetric::kEuclidean, /*exclude_self=*/false);
  EXPECT_TRUE(at::equal(found.indices.select(1, 0), at::arange(100, at::kInt)));
  EXPECT_EQ(found.distances.select(1, 0).max().item<float>(), 0);
  expect_nearest(found, all_distances(points, points, NeighbourMetric::kEuclidean), 100, false);
}

TEST(Neighbours, WithoutADirectionAreAtADistanceOfOne) {
  const at::Tensor points = test::uniform_points(30, 4, 15);
  points[7].zero_();
  const Neighbours found = nearest_neighbours(points, 29, NeighbourMetric::kCosine);
  EXPECT_TRUE(at::equal(found.distances[7], at::ones({29})));
  EXPECT_EQ(found.indices[3][28].item<int>(), 7);
  EXPECT_TRUE(found.distances.isfinite().all().item<bool>());
}

TEST(Neighbours, AreTheSameForAnyNumberOfThreads) {
  const at::Tensor points = test::blob_points(3000, 7, 4, 16);
  const Neighbours expected = nearest_neighbours(points, 12, NeighbourMetric::kEuclidean);
  const at::Tensor queries = test::blob_points(700, 7, 5, 17);
  const Neighbours of_queries =
      nearest_neighbours_of(queries, points, 12, NeighbourMetric::kCosine);
  test::with_threads([&](int) {
    const Neighbours found = nearest_neighbours(points, 12, NeighbourMetric::kEuclidean);
    EXPECT_TRUE(test::same(found.indices, expected.indices));
    EXPECT_TRUE(test::same(found.distances, expected.distances));
    const Neighbours others = nearest_neighbours_of(queries, points, 12, NeighbourMetric::kCosine);
    EXPECT_TRUE(test::same(others.indices, of_queries.indices));
    EXPECT_TRUE(test::same(others.distances, of_queries.distances));
  });
}

TEST(Neighbours, RefuseWhatCannotBe) {
  const at::Tensor points = test::uniform_points(10, 4, 18);
  const auto search = [&](int64_t k, bool exclude_self) {
    return [=] { nearest_neighbours(points, k, NeighbourMetric::kEuclidean, exclude_self); };
  };
  test::expect_error(ErrorCode::kConfig, "10 neighbours are more than the 9", search(10, true));
  test::expect_error(ErrorCode::kConfig, "11 neighbours are more than the 10", search(11, false));
  test::expect_error(ErrorCode::kConfig, "at least 1, not 0", search(0, true));
  test::expect_error(ErrorCode::kData, "the queries have 3 values a row, not 4", [&] {
    nearest_neighbours_of(points.narrow(1, 0, 3), points, 2, NeighbourMetric::kEuclidean);
  });
}

TEST(Neighbours, StopWhenAskedTo) {
  const at::Tensor points = test::uniform_points(3000, 4, 19);
  int reports = 0;
  const Progress stop = [&](double share) {
    EXPECT_GE(share, 0);
    EXPECT_LE(share, 1);
    return ++reports < 3;
  };
  EXPECT_THROW(nearest_neighbours(points, 5, NeighbourMetric::kEuclidean, true, stop), Cancelled);
  EXPECT_EQ(reports, 3);
}

}  // namespace
}  // namespace flexae
