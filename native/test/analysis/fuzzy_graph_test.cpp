#include "analysis/fuzzy_graph.h"

#include "test/analysis/map_expected.h"
#include "test/analysis/map_points.h"

namespace flexae {
namespace {

at::Tensor as_tensor(const std::vector<float>& values) {
  return at::tensor(at::ArrayRef<float>(values), at::kDouble);
}

at::Tensor dense_graph(const FuzzyGraph& graph) {
  at::Tensor dense = at::zeros({graph.points(), graph.points()}, at::kDouble);
  for (int64_t i = 0; i < graph.points(); ++i) {
    for (int64_t e = graph.begins[static_cast<size_t>(i)];
         e < graph.begins[static_cast<size_t>(i) + 1]; ++e) {
      dense[i][graph.neighbours[static_cast<size_t>(e)]] =
          static_cast<double>(graph.strengths[static_cast<size_t>(e)]);
    }
  }
  return dense;
}

TEST(FuzzyGraph, SmoothKnnIsUmapLearns) {
  const Neighbours found =
      nearest_neighbours(test::uniform_points(40, 4, 3), 9, NeighbourMetric::kEuclidean);
  const at::Tensor distances = at::constant_pad_nd(found.distances, {1, 0}, 0);
  const auto compare = [&](double connectivity, const at::Tensor& sigma, const at::Tensor& rho) {
    SCOPED_TRACE(connectivity);
    const SmoothKnn smooth = smooth_knn(distances, connectivity);
    EXPECT_TRUE(at::allclose(as_tensor(smooth.rho), rho, 1e-6));
    EXPECT_TRUE(at::allclose(as_tensor(smooth.sigma), sigma, 1e-4));
  };
  compare(0, test::expected(test::kSigma0, {40}), test::expected(test::kRho0, {40}));
  compare(1, test::expected(test::kSigma1, {40}), test::expected(test::kRho1, {40}));
  compare(1.5, test::expected(test::kSigma1_5, {40}), test::expected(test::kRho1_5, {40}));
}

TEST(FuzzyGraph, IsUmapLearns) {
  const Neighbours found =
      nearest_neighbours(test::uniform_points(20, 3, 4), 5, NeighbourMetric::kEuclidean);
  EXPECT_TRUE(at::allclose(dense_graph(fuzzy_graph(found)),
                           test::expected(test::kFuzzyGraph, {20, 20}), 1e-4, 1e-6));
  EXPECT_TRUE(at::allclose(dense_graph(fuzzy_graph(found, 0.25)),
                           test::expected(test::kFuzzyGraphMixed, {20, 20}), 1e-4, 1e-6));
}

TEST(FuzzyGraph, IsTheSameInBothDirections) {
  const Neighbours found =
      nearest_neighbours(test::uniform_points(300, 5, 51), 12, NeighbourMetric::kEuclidean);
  const at::Tensor dense = dense_graph(fuzzy_graph(found));
  EXPECT_TRUE(at::equal(dense, dense.t()));
  EXPECT_EQ(dense.diagonal().abs().max().item<double>(), 0);
  EXPECT_TRUE((dense.amax(1) > 0.9).all().item<bool>());
  EXPECT_LE(dense.max().item<double>(), 1);
}

TEST(FuzzyGraph, TakesPointsInOnePlaceForOne) {
  const at::Tensor points = test::uniform_points(60, 3, 52);
  points.narrow(0, 10, 30).copy_(points[0].expand({30, 3}));
  const at::Tensor dense =
      dense_graph(fuzzy_graph(nearest_neighbours(points, 6, NeighbourMetric::kEuclidean)));
  EXPECT_TRUE(dense.isfinite().all().item<bool>());
  EXPECT_EQ(dense[0][10].item<double>(), 1);
}

TEST(FuzzyGraph, LeavesOutWhatIsTooWeakToBeDrawn) {
  FuzzyGraph graph{{0, 3, 3, 5}, {0, 1, 2, 0, 1}, {0.5F, 0.011F, 0.009F, 0.02F, 1.0F}};
  drop_weak(graph, 100);
  EXPECT_EQ(graph.begins, (std::vector<int64_t>{0, 2, 2, 4}));
  EXPECT_EQ(graph.neighbours, (std::vector<int32_t>{0, 1, 0, 1}));
  EXPECT_EQ(graph.strengths, (std::vector<float>{0.5F, 0.011F, 0.02F, 1.0F}));
}

TEST(FuzzyGraph, KnowsWhetherItFallsIntoParts) {
  EXPECT_TRUE(is_connected({{0, 1, 3, 4}, {1, 0, 2, 1}, {1, 1, 1, 1}}));
  EXPECT_FALSE(is_connected({{0, 1, 2, 2}, {1, 0}, {1, 1}}));
}

}  // namespace
}  // namespace flexae
