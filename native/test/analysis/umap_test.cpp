#include "analysis/umap.h"

#include "analysis/neighbours.h"
#include "analysis/trustworthiness.h"
#include "test/analysis/map_expected.h"
#include "test/analysis/map_points.h"

namespace flexae {
namespace {

/// The share of points whose nearest in `map` is of the same blob, point i being of i mod `blobs`.
double in_own_blob(const at::Tensor& queries, const at::Tensor& map, int64_t blobs, bool same) {
  const at::Tensor nearest =
      (same ? nearest_neighbours(map, 1, NeighbourMetric::kEuclidean)
            : nearest_neighbours_of(queries, map, 1, NeighbourMetric::kEuclidean))
          .indices.select(1, 0);
  const at::Tensor own = at::arange(queries.size(0), at::kInt).remainder(blobs);
  return (nearest.remainder(blobs) == own).to(at::kDouble).mean().item<double>();
}

TEST(Umap, IsAsTrustworthyAsUmapLearns) {
  const auto judge = [](const at::Tensor& points, double theirs) {
    double sum = 0;
    for (const uint64_t seed : {0, 1, 2}) {
      UmapOptions options;
      options.seed = seed;
      sum += trustworthiness(points, Umap::fit(points, options).map(), {.n_neighbors = 15});
    }
    EXPECT_GT(sum / 3, theirs - 0.005);
  };
  judge(test::blob_points(500, 10, 5, 6), test::kUmapTrustworthinessBlobs[0]);
  judge(test::uniform_points(700, 3, 8), test::kUmapTrustworthinessRoll[0]);
}

TEST(Umap, PartsWhatIsApart) {
  const at::Tensor points = test::blob_points(600, 10, 6, 81);
  for (const UmapStart start : {UmapStart::kSpectral, UmapStart::kPca, UmapStart::kRandom}) {
    SCOPED_TRACE(static_cast<int>(start));
    UmapOptions options;
    options.start = start;
    const at::Tensor map = Umap::fit(points, options).map();
    ASSERT_EQ(map.sizes(), at::IntArrayRef({600, 2}));
    EXPECT_EQ(in_own_blob(map, map, 6, /*same=*/true), 1);
    EXPECT_GT(trustworthiness(points, map, {.n_neighbors = 15}), 0.95);
  }
}

TEST(Umap, IsTheSameForASeedAndAnyNumberOfThreads) {
  // Of one graph in one part, so that it begins with eigenvectors; of odd numbers of dimensions.
  const at::Tensor points = test::uniform_points(1500, 3, 82);
  for (const int64_t dims : {2, 5}) {
    UmapOptions options;
    options.n_components = dims;
    options.n_epochs = 20;
    options.seed = 7;
    const Umap expected = Umap::fit(points, options);
    const at::Tensor fresh = test::uniform_points(100, 3, 83);
    const at::Tensor placed = expected.transform(fresh);
    test::with_threads([&](int) {
      EXPECT_TRUE(test::same(Umap::fit(points, options).map(), expected.map()));
      EXPECT_TRUE(test::same(expected.transform(fresh), placed));
    });
    options.seed = 8;
    EXPECT_FALSE(test::same(Umap::fit(points, options).map(), expected.map()));
  }
}

TEST(Umap, TakesNeighboursThatAreFoundApproximately) {
  const at::Tensor points = test::blob_points(3000, 10, 6, 84);
  UmapOptions options;
  options.n_epochs = 100;
  options.search = NeighbourSearch::kApproximate;
  const at::Tensor map = Umap::fit(points, options).map();
  EXPECT_GT(in_own_blob(map, map, 6, /*same=*/true), 0.999);
}

TEST(Umap, MapsToManyDimensionsWithoutADistance) {
  const at::Tensor points = test::blob_points(500, 12, 5, 85);
  for (const int64_t dims : {1, 10, 17}) {
    UmapOptions options;
    options.n_components = dims;
    options.min_dist = 0;
    options.n_neighbors = 20;
    options.metric = NeighbourMetric::kCosine;
    const at::Tensor map = Umap::fit(points, options).map();
    ASSERT_EQ(map.sizes(), at::IntArrayRef({500, dims}));
    EXPECT_TRUE(map.isfinite().all().item<bool>());
    EXPECT_GT(in_own_blob(map, map, 5, /*same=*/true), 0.99) << dims;
  }
}

TEST(Umap, PlacesNewPointsAmongTheirNeighbours) {
  const at::Tensor all = test::blob_points(900, 10, 6, 86);
  const at::Tensor points = all.narrow(0, 0, 600);
  const Umap umap = Umap::fit(points, {});
  const at::Tensor placed = umap.transform(all.narrow(0, 600, 300));
  ASSERT_EQ(placed.sizes(), at::IntArrayRef({300, 2}));
  EXPECT_EQ(in_own_blob(placed, umap.map(), 6, /*same=*/false), 1);
  // Known points come near to where they are: within 0.56 of their blob's size in umap-learn.
  const at::Tensor again = umap.transform(points);
  const double error = (again - umap.map()).norm(2, 1).median().item<double>();
  const at::Tensor blob = umap.map().slice(0, 0, 600, 6);
  EXPECT_LT(error, 0.6 * (blob - blob.mean(0)).norm(2, 1).mean().item<double>());
  // A map that comes from a file does the same.
  const Umap read(umap.options(), points, umap.map().clone());
  EXPECT_TRUE(test::same(read.transform(points), again));
}

TEST(Umap, TakesPointsInOnePlaceAndVeryFew) {
  const at::Tensor points = test::uniform_points(200, 3, 87);
  points.narrow(0, 0, 100).copy_(points[0].expand({100, 3}));
  EXPECT_TRUE(Umap::fit(points, {}).map().isfinite().all().item<bool>());
  EXPECT_TRUE(Umap::fit(at::ones({50, 3}), {}).map().isfinite().all().item<bool>());
  UmapOptions few;
  few.n_neighbors = 2;
  const Umap umap = Umap::fit(test::uniform_points(3, 2, 88), few);
  EXPECT_TRUE(umap.map().isfinite().all().item<bool>());
  EXPECT_TRUE(umap.transform(test::uniform_points(1, 2, 89)).isfinite().all().item<bool>());
}

TEST(Umap, RefusesWhatCannotBe) {
  const at::Tensor points = test::uniform_points(30, 4, 90);
  const auto refuse = [&](const std::string& part, const auto& change) {
    UmapOptions options;
    change(options);
    test::expect_error(ErrorCode::kConfig, part, [&] { Umap::fit(points, options); });
  };
  refuse("n_neighbors must be from 2 to 29 for 30 points, not 30",
         [](UmapOptions& o) { o.n_neighbors = 30; });
  refuse("n_neighbors must be from 2", [](UmapOptions& o) { o.n_neighbors = 1; });
  refuse("n_components", [](UmapOptions& o) { o.n_components = 0; });
  refuse("n_components", [](UmapOptions& o) { o.n_components = 257; });
  refuse("min_dist", [](UmapOptions& o) { o.min_dist = 1.5; });
  refuse("min_dist", [](UmapOptions& o) { o.min_dist = 0.0 / 0.0; });
  refuse("spread", [](UmapOptions& o) { o.spread = 0; });
  refuse("n_epochs", [](UmapOptions& o) { o.n_epochs = -1; });
  refuse("learning_rate", [](UmapOptions& o) { o.learning_rate = 0; });
  refuse("repulsion_strength", [](UmapOptions& o) { o.repulsion_strength = -1; });
  refuse("negative_sample_rate", [](UmapOptions& o) { o.negative_sample_rate = -1; });
  refuse("set_op_mix_ratio", [](UmapOptions& o) { o.set_op_mix_ratio = 2; });
  test::expect_error(ErrorCode::kData, "a map of 30 points must be 30×2, but is 29×2",
                     [&] { Umap({}, points, points.narrow(0, 0, 29).narrow(1, 0, 2)); });
}

TEST(Umap, ReportsItsProgressAndStopsWhenAskedTo) {
  const at::Tensor points = test::uniform_points(1000, 3, 91);
  double last = 0;
  UmapOptions options;
  options.n_epochs = 20;
  Umap::fit(points, options, [&](double share) {
    EXPECT_GE(share, last);
    EXPECT_LE(share, 1);
    last = share;
    return true;
  });
  EXPECT_GT(last, 0.9);
  EXPECT_THROW(Umap::fit(points, options, [](double share) { return share < 0.7; }), Cancelled);
}

}  // namespace
}  // namespace flexae
