#include "analysis/kmeans.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "core/base/error.h"
#include "test/analysis/expected.h"
#include "test/analysis/made_points.h"

namespace flexae {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)

at::Tensor blobs(double offset = 0) {
  return made_points(200, 5, 4, 4, 1, offset);
}

KmeansOptions from_centres(const at::Tensor& centres, double tolerance = 1e-4) {
  KmeansOptions options;
  options.clusters = centres.size(0);
  options.tolerance = tolerance;
  options.initial_centres = centres;
  return options;
}

/// The sum of squared distances to the nearest centre, in fp64 by ATen.
double nearest_sum(const at::Tensor& points, const at::Tensor& centres) {
  const at::Tensor all = points.to(at::kDouble).unsqueeze(1) - centres.to(at::kDouble).unsqueeze(0);
  return std::get<0>(all.square().sum(2).min(1)).sum().item<double>();
}

void expect_equal(const KmeansResult& a, const KmeansResult& b) {
  EXPECT_TRUE(a.centres.equal(b.centres));
  EXPECT_TRUE(a.labels.equal(b.labels));
  EXPECT_TRUE(a.squared_distances.equal(b.squared_distances));
  EXPECT_EQ(a.inertia, b.inertia);
  EXPECT_EQ(a.iterations, b.iterations);
}

template <size_t C, size_t L>
void expect_clusters(const KmeansResult& result, const double (&centres)[C],
                     const int32_t (&labels)[L], double inertia, double near) {
  EXPECT_LT(difference(result.centres, as_tensor(centres, result.centres.sizes())), near);
  EXPECT_TRUE(result.labels.equal(as_tensor(labels, {static_cast<int64_t>(L)})));
  EXPECT_NEAR(result.inertia, inertia, 1e-6 * inertia);
}

TEST(Kmeans, FindsWhatScikitLearnFinds) {
  const at::Tensor points = blobs();
  const auto result = kmeans(points, from_centres(points.narrow(0, 0, 4)));
  expect_clusters(*result, expected::kBlobsCentres, expected::kBlobsLabels, expected::kBlobsInertia,
                  1e-5);
  EXPECT_EQ(result->iterations, expected::kBlobsIterations);
  EXPECT_TRUE(result->converged);
}

TEST(Kmeans, WithoutToleranceItEndsAsScikitLearn) {
  const at::Tensor points = blobs();
  const auto result = kmeans(points, from_centres(points.narrow(0, 0, 4), 0));
  expect_clusters(*result, expected::kExactCentres, expected::kExactLabels, expected::kExactInertia,
                  1e-5);
  EXPECT_EQ(result->iterations, expected::kExactIterations);
}

TEST(Kmeans, CentresWithoutPointsMoveAsInScikitLearn) {
  const at::Tensor points = blobs();
  const at::Tensor centres = points.narrow(0, 0, 4).clone();
  centres[2].fill_(500);
  centres[3].fill_(-500);
  const auto result = kmeans(points, from_centres(centres));
  expect_clusters(*result, expected::kEmptyCentres, expected::kEmptyLabels, expected::kEmptyInertia,
                  1e-5);
  EXPECT_EQ(result->iterations, expected::kEmptyIterations);
}

TEST(Kmeans, PointsFarFromZeroAreToldApart) {
  const at::Tensor points = blobs(1000);
  const auto result = kmeans(points, from_centres(points.narrow(0, 0, 4)));
  expect_clusters(*result, expected::kOffsetCentres, expected::kOffsetLabels,
                  expected::kOffsetInertia, 1e-3);
  EXPECT_EQ(result->iterations, expected::kOffsetIterations);
}

TEST(Kmeans, BoundsByGroupsChangeNothing) {
  const at::Tensor many = made_points(3000, 8, 50, 1.5, 2);
  const auto by_groups = kmeans(many, from_centres(many.narrow(0, 0, 70), 0));
  EXPECT_NEAR(by_groups->inertia, expected::kManyInertia, 1e-6 * expected::kManyInertia);
  EXPECT_EQ(by_groups->iterations, expected::kManyIterations);
  const at::Tensor wide = made_points(1000, 70, 9, 4, 3);
  const auto of_wide = kmeans(wide, from_centres(wide.narrow(0, 0, 40), 0));
  EXPECT_NEAR(of_wide->inertia, expected::kWideInertia, 1e-6 * expected::kWideInertia);
  EXPECT_EQ(of_wide->iterations, expected::kWideIterations);
}

TEST(Kmeans, SphericalIsByAngle) {
  const at::Tensor points = blobs() - 4;
  KmeansOptions options = from_centres(points.narrow(0, 0, 4));
  options.spherical = true;
  const auto result = kmeans(points, options);
  expect_clusters(*result, expected::kSphericalCentres, expected::kSphericalLabels,
                  expected::kSphericalInertia, 1e-6);
  EXPECT_LT(difference(result->centres.norm(2, 1), at::ones({4})), 1e-6);
  // Lengths mean nothing.
  const at::Tensor lengths = at::arange(1, 201, at::kFloat).unsqueeze(1);
  EXPECT_TRUE(kmeans(points * lengths, options)->labels.equal(result->labels));
}

TEST(Kmeans, AZeroVectorHasNoAngleAndDoesNoHarm) {
  const at::Tensor points = blobs() - 4;
  points[17].zero_();
  KmeansOptions options;
  options.clusters = 4;
  options.spherical = true;
  const auto result = kmeans(points, options);
  EXPECT_TRUE(at::isfinite(result->centres).all().item<bool>());
  EXPECT_NEAR(result->squared_distances[17].item<double>(), 1, 1e-6);
}

TEST(Kmeans, FindsClustersThatLieApart) {
  const uint64_t seed = random_seed(1);
  SCOPED_TRACE("FLEXAE_SEED=" + std::to_string(seed));
  const at::Tensor points = made_points(3000, 6, 12, 0.1, 3);
  KmeansOptions options;
  options.clusters = 12;
  options.seed = seed;
  options.restarts = 3;
  const auto result = kmeans(points, options);
  // Point i lies about place i mod 12.
  const at::Tensor rows = result->labels.view({250, 12});
  EXPECT_TRUE(rows.equal(rows.narrow(0, 0, 1).expand({250, 12})));
  EXPECT_EQ(std::get<0>(at::_unique(rows[0])).numel(), 12);
}

TEST(Kmeans, ResultsBelongTogether) {
  for (const int64_t batch : {0, 64}) {
    KmeansOptions options;
    options.clusters = 7;
    options.batch_size = batch;
    const at::Tensor points = blobs();
    const auto result = kmeans(points, options);
    EXPECT_NEAR(result->inertia, nearest_sum(points, result->centres), 1e-4 * result->inertia);
    EXPECT_NEAR(result->inertia, result->squared_distances.sum().item<double>(),
                1e-5 * result->inertia);
    const at::Tensor own = result->centres.index_select(0, result->labels.to(at::kLong)) - points;
    EXPECT_LT(difference(own.square().sum(1), result->squared_distances), 1e-4);
    const Assignment assigned = assign(points, result->centres);
    EXPECT_TRUE(assigned.labels.equal(result->labels));
    EXPECT_TRUE(assigned.squared_distances.equal(result->squared_distances));
  }
}

TEST(Kmeans, InertiaNeverRises) {
  const at::Tensor points = made_points(1500, 12, 30, 4, 6);
  double last = std::numeric_limits<double>::infinity();
  bool converged = false;
  for (int64_t iterations = 1; !converged; ++iterations) {
    KmeansOptions options = from_centres(points.narrow(0, 0, 40), 0);
    options.max_iterations = iterations;
    const auto result = kmeans(points, options);
    EXPECT_LE(result->inertia, last * (1 + 1e-7)) << iterations;
    last = result->inertia;
    converged = result->converged;
    EXPECT_EQ(result->iterations, iterations);
    ASSERT_LT(iterations, 200);
  }
}

TEST(Kmeans, IsTheSameForAnyNumberOfThreads) {
  const at::Tensor points = made_points(7001, 20, 30, 4, 7);
  for (const bool spherical : {false, true}) {
    for (const int64_t batch : {0, 300}) {
      for (const int64_t clusters : {5, 90}) {
        KmeansOptions options;
        options.clusters = clusters;
        options.spherical = spherical;
        options.batch_size = batch;
        options.restarts = 2;
        const auto here = kmeans(points, options);
        for (const int threads : {1, 2, 3}) {
          const WithThreads with(threads);
          expect_equal(*kmeans(points, options), *here);
        }
      }
    }
  }
}

TEST(Kmeans, FollowsFromItsSeed) {
  const at::Tensor points = made_points(500, 4, 20, 4, 8);
  for (const int64_t batch : {0, 50}) {
    KmeansOptions options;
    options.clusters = 12;
    options.batch_size = batch;
    options.seed = 5;
    const auto result = kmeans(points, options);
    expect_equal(*kmeans(points, options), *result);
    options.seed = 6;
    EXPECT_FALSE(kmeans(points, options)->centres.equal(result->centres));
  }
}

TEST(Kmeans, TheBestOfItsStartsIsTaken) {
  const at::Tensor points = made_points(600, 3, 25, 1, 9);
  KmeansOptions options;
  options.clusters = 20;
  std::vector<double> inertias;
  for (const int64_t restarts : {1, 2, 4, 8}) {
    options.restarts = restarts;
    inertias.push_back(kmeans(points, options)->inertia);
  }
  EXPECT_TRUE(std::is_sorted(inertias.rbegin(), inertias.rend()));
  EXPECT_LT(inertias.back(), inertias.front());
}

TEST(Kmeans, BatchesComeNearToTheWhole) {
  const at::Tensor points = made_points(20'000, 10, 15, 2, 10);
  KmeansOptions options;
  options.clusters = 15;
  options.restarts = 3;
  const double whole = kmeans(points, options)->inertia;
  options.batch_size = 1024;
  const auto result = kmeans(points, options);
  EXPECT_LT(result->inertia, 1.05 * whole);
  EXPECT_TRUE(result->converged);
}

TEST(Kmeans, AsManyClustersAsPointsHaveThemAll) {
  const at::Tensor points = made_points(60, 3, 60, 1, 11);
  KmeansOptions options;
  options.clusters = 60;
  const auto result = kmeans(points, options);
  EXPECT_EQ(result->inertia, 0.0);
  EXPECT_EQ(std::get<0>(at::_unique(result->labels)).numel(), 60);
}

TEST(Kmeans, OneClusterIsTheMean) {
  const at::Tensor points = blobs();
  KmeansOptions options;
  options.clusters = 1;
  const auto result = kmeans(points, options);
  EXPECT_LT(difference(result->centres[0], points.to(at::kDouble).mean(0)), 1e-6);
  EXPECT_TRUE(result->labels.eq(0).all().item<bool>());
}

TEST(Kmeans, PointsThatAreTheSameAreOneCluster) {
  const at::Tensor points = made_points(3, 4, 3, 1, 12).repeat({40, 1});
  for (const int64_t batch : {0, 30}) {
    KmeansOptions options;
    options.clusters = 5;
    options.batch_size = batch;
    const auto result = kmeans(points, options);
    EXPECT_EQ(result->inertia, 0.0) << batch;
    EXPECT_TRUE(at::isfinite(result->centres).all().item<bool>());
    const at::Tensor rows = result->labels.view({40, 3});
    EXPECT_TRUE(rows.equal(rows.narrow(0, 0, 1).expand({40, 3})));
  }
}

TEST(Kmeans, EndsWhenItsCallbackSaysSo) {
  const at::Tensor points = made_points(500, 4, 20, 4, 8);
  for (const int64_t batch : {0, 50}) {
    KmeansOptions options;
    options.clusters = 10;
    options.batch_size = batch;
    std::vector<int64_t> iterations;
    const auto result = kmeans(points, options, [&](const KmeansProgress& progress) {
      iterations.push_back(progress.iteration);
      return progress.iteration < 2;
    });
    EXPECT_FALSE(result.has_value());
    // Nine times before the second centre and those after it, and in two iterations.
    const std::vector<int64_t> asked{0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2};
    EXPECT_EQ(iterations, asked);
    EXPECT_FALSE(kmeans(points, options, [](const KmeansProgress&) { return false; }).has_value());
  }
}

/// The code of the error that comes, if it names `part`.
template <typename Body>
std::optional<ErrorCode> error_of(const std::string& part, Body body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    return error.code();
  }
  return std::nullopt;
}

TEST(Kmeans, SaysWhatIsWrong) {
  const at::Tensor points = blobs();
  const auto with = [&](auto change) {
    return [&points, change] {
      KmeansOptions options;
      change(options);
      (void)kmeans(points, options);
    };
  };
  EXPECT_EQ(error_of("at least 1", with([](KmeansOptions& o) { o.clusters = 0; })),
            ErrorCode::kConfig);
  EXPECT_EQ(error_of("fewer clusters", with([](KmeansOptions& o) { o.clusters = 201; })),
            ErrorCode::kConfig);
  EXPECT_EQ(error_of("restarts", with([](KmeansOptions& o) { o.restarts = 0; })),
            ErrorCode::kConfig);
  EXPECT_EQ(error_of("iterations", with([](KmeansOptions& o) { o.max_iterations = 0; })),
            ErrorCode::kConfig);
  EXPECT_EQ(error_of("batch size", with([](KmeansOptions& o) { o.batch_size = -1; })),
            ErrorCode::kConfig);
  EXPECT_EQ(error_of("tolerance", with([](KmeansOptions& o) { o.tolerance = -1; })),
            ErrorCode::kConfig);
  EXPECT_EQ(error_of("8 centres",
                     with([&](KmeansOptions& o) { o.initial_centres = points.narrow(0, 0, 3); })),
            ErrorCode::kConfig);
  const auto of = [](const at::Tensor& other) {
    return [other] { (void)kmeans(other, KmeansOptions{}); };
  };
  EXPECT_EQ(error_of("N×D", of(points[0])), ErrorCode::kData);
  EXPECT_EQ(error_of("fp32", of(points.to(at::kDouble))), ErrorCode::kData);
  EXPECT_EQ(error_of("at least 1×1", of(at::empty({0, 4}))), ErrorCode::kData);
  EXPECT_EQ(error_of("N×D", of(at::Tensor())), ErrorCode::kData);
  for (const double bad : {1.0 / 0.0, -1.0 / 0.0, 0.0 / 0.0}) {
    const at::Tensor spoilt = points.clone();
    spoilt[123][4] = bad;
    EXPECT_EQ(error_of("in row 123", of(spoilt)), ErrorCode::kData);
    EXPECT_EQ(error_of("a centre holds", [&] { (void)assign(points, spoilt); }), ErrorCode::kData);
  }
  EXPECT_EQ(error_of("too long", of(points * 1e20)), ErrorCode::kData);
  EXPECT_EQ(error_of("rows of 5",
                     [&] {
                       (void)assign(points, at::zeros({2, 4}));
                     }),
            ErrorCode::kData);
}

TEST(Kmeans, TakesEmbeddingsThatAreNotContiguous) {
  const at::Tensor points = blobs();
  const KmeansOptions options = from_centres(points.narrow(0, 0, 4));
  expect_equal(*kmeans(points.t().contiguous().t(), options), *kmeans(points, options));
}

}  // namespace
}  // namespace flexae
