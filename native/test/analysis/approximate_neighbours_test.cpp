#include "analysis/approximate_neighbours.h"

#include "analysis/projection_tree.h"
#include "test/analysis/map_points.h"

namespace flexae {
namespace {

/// The share of the exact neighbours that are among the found.
double recall(const at::Tensor& found, const at::Tensor& exact) {
  const at::Tensor hits = found.unsqueeze(2) == exact.unsqueeze(1);
  return hits.any(1).to(at::kDouble).mean().item<double>();
}

TEST(ApproximateNeighbours, AreNearlyAllOfTheNearest) {
  for (const NeighbourMetric metric : {NeighbourMetric::kEuclidean, NeighbourMetric::kCosine}) {
    const at::Tensor points = test::uniform_points(6000, 8, 31) - 0.5;
    const Neighbours exact = nearest_neighbours(points, 15, metric);
    const Neighbours found = approximate_neighbours(points, 15, metric, /*seed=*/1);
    EXPECT_GT(recall(found.indices, exact.indices), 0.97);
    // A distance is that of the point that is named, and they ascend.
    const at::Tensor same = found.indices == exact.indices;
    EXPECT_TRUE(
        at::equal(found.distances.masked_select(same), exact.distances.masked_select(same)));
    EXPECT_TRUE((found.distances.diff() >= 0).all().item<bool>());
    // Without itself, and each once.
    const at::Tensor self = at::arange(6000, at::kInt).unsqueeze(1);
    EXPECT_FALSE((found.indices == self).any().item<bool>());
    const at::Tensor sorted = std::get<0>(found.indices.sort(1));
    EXPECT_TRUE((sorted.diff() > 0).all().item<bool>());
  }
}

TEST(ApproximateNeighbours, AreTheSameForASeedAndAnyNumberOfThreads) {
  const at::Tensor points = test::blob_points(5000, 6, 3, 32);
  const auto search = [&](uint64_t seed) {
    return approximate_neighbours(points, 10, NeighbourMetric::kEuclidean, seed);
  };
  const Neighbours expected = search(5);
  test::with_threads([&](int) {
    const Neighbours found = search(5);
    EXPECT_TRUE(test::same(found.indices, expected.indices));
    EXPECT_TRUE(test::same(found.distances, expected.distances));
  });
}

TEST(ApproximateNeighbours, OfPointsInOnePlaceAreThere) {
  const at::Tensor points = test::uniform_points(4000, 3, 33);
  points.narrow(0, 1000, 1500).copy_(points[0].expand({1500, 3}));
  const Neighbours found =
      approximate_neighbours(points, 8, NeighbourMetric::kEuclidean, /*seed=*/0);
  EXPECT_EQ(found.distances.narrow(0, 1000, 1500).max().item<float>(), 0);
  EXPECT_TRUE((found.indices >= 0).all().item<bool>());
}

TEST(ApproximateNeighbours, StopWhenAskedTo) {
  const at::Tensor points = test::uniform_points(3000, 4, 34);
  int reports = 0;
  EXPECT_THROW(approximate_neighbours(points, 5, NeighbourMetric::kEuclidean, 0,
                                      [&](double) { return ++reports < 10; }),
               Cancelled);
  EXPECT_EQ(reports, 10);
}

TEST(ProjectionTree, HasEachPointOnceInLeavesThatAreLargeEnough) {
  at::Tensor points = test::uniform_points(3001, 4, 35);
  points.narrow(0, 0, 700).fill_(2);  // no plane parts these
  const ProjectionTree tree =
      projection_tree(points.const_data_ptr<float>(), 3001, 4, /*least=*/20, 0, 0);
  std::vector<int> seen(3001);
  for (const int32_t point : tree.points) ++seen.at(static_cast<size_t>(point));
  EXPECT_TRUE(std::all_of(seen.begin(), seen.end(), [](int count) { return count == 1; }));
  ASSERT_EQ(tree.begins.front(), 0);
  ASSERT_EQ(tree.begins.back(), 3001);
  for (size_t leaf = 1; leaf < tree.begins.size(); ++leaf) {
    EXPECT_GE(tree.begins[leaf] - tree.begins[leaf - 1], 20);
    EXPECT_LT(tree.begins[leaf] - tree.begins[leaf - 1], 40);
  }
}

}  // namespace
}  // namespace flexae
