#include "analysis/spectral_start.h"

#include <tuple>

#include "test/analysis/map_points.h"

namespace flexae {
namespace {

/// D^-½·W·D^-½ in fp64.
at::Tensor normalized(const FuzzyGraph& graph) {
  at::Tensor dense = at::zeros({graph.points(), graph.points()}, at::kDouble);
  auto* values = dense.mutable_data_ptr<double>();
  for (int64_t i = 0; i < graph.points(); ++i) {
    for (auto e = static_cast<size_t>(graph.begins[static_cast<size_t>(i)]);
         e < static_cast<size_t>(graph.begins[static_cast<size_t>(i) + 1]); ++e) {
      values[i * graph.points() + graph.neighbours[e]] = static_cast<double>(graph.strengths[e]);
    }
  }
  const at::Tensor root = dense.sum(1).sqrt();
  return dense / root / root.unsqueeze(1);
}

FuzzyGraph plane_graph(int64_t points) {
  return fuzzy_graph(nearest_neighbours(test::uniform_points(points, 2, 61, /*stretched=*/true), 14,
                                        NeighbourMetric::kEuclidean));
}

TEST(SpectralStart, HasTheEigenvectorsBelowTheFirst) {
  // Few points are decomposed as a dense matrix, many by filters.
  for (const int64_t points : {200, 900}) {
    SCOPED_TRACE(points);
    const FuzzyGraph graph = plane_graph(points);
    ASSERT_TRUE(is_connected(graph));
    const SpectralStart start = spectral_start(graph, 3);
    const at::Tensor matrix = normalized(graph);
    const at::Tensor wanted = std::get<0>(at::linalg_eigh(matrix)).flip(0);
    ASSERT_EQ(start.vectors.sizes(), at::IntArrayRef({points, 3}));
    ASSERT_EQ(start.values.size(), 3U);
    for (int64_t i = 0; i < 3; ++i) {
      EXPECT_NEAR(start.values[static_cast<size_t>(i)], wanted[i + 1].item<double>(), 1e-5);
      const at::Tensor vector = start.vectors.select(1, i).to(at::kDouble);
      EXPECT_NEAR(vector.norm().item<double>(), 1, 1e-4);
      const at::Tensor rest =
          at::mv(matrix, vector) - start.values[static_cast<size_t>(i)] * vector;
      EXPECT_LT(rest.norm().item<double>(), 2e-3);
    }
  }
}

TEST(SpectralStart, IsTheSameForAnyNumberOfThreads) {
  for (const int64_t points : {200, 900}) {
    const FuzzyGraph graph = plane_graph(points);
    const SpectralStart expected = spectral_start(graph, 2);
    test::with_threads(
        [&](int) { EXPECT_TRUE(test::same(spectral_start(graph, 2).vectors, expected.vectors)); });
  }
}

}  // namespace
}  // namespace flexae
