#include <set>
#include <vector>

#include "../analysis/made_points.h"
#include "analysis/device/device_kmeans.h"
#include "analysis/kmeans.h"
#include "analysis/mixture.h"
#include "analysis/neighbours.h"
#include "analysis/pca.h"
#include "analysis/point_set.h"
#include "analysis/running_centres.h"
#include "analysis/silhouette.h"
#include "analysis/umap.h"
#include "support.h"

namespace flexae {
namespace {

using test::made_points;

class DeviceAnalysis : public DeviceTest {};

/// Sixteen heaps that lie far from zero, so that points are measured from elsewhere.
at::Tensor far_heaps(int64_t count = 6000) {
  return made_points(count, 12, 16, 0.6, test::random_seed(1), 30);
}

/// The share of equal labels.
double agreement(const at::Tensor& a, const at::Tensor& b) {
  return (a == b).to(at::kDouble).mean().item<double>();
}

TEST_F(DeviceAnalysis, AssignsPointsAsTheCpuDoes) {
  const at::Tensor points = far_heaps();
  const at::Tensor centres = points.narrow(0, 0, 300);
  const Assignment got = assign(points, centres, false, test_device());
  const Assignment expected = assign(points, centres);
  // A point between two centres may go to either.
  EXPECT_GT(agreement(got.labels, expected.labels), 0.999);
  EXPECT_LT(distance(got.squared_distances, expected.squared_distances), 1e-5);
  // The first of centres that are the same.
  const at::Tensor twice = at::cat({centres, centres});
  EXPECT_LT(assign(points, twice, false, test_device()).labels.max().item<int32_t>(), 300);
}

TEST_F(DeviceAnalysis, FollowsLloydFromTheSameCentres) {
  for (const bool spherical : {false, true}) {
    const at::Tensor points = far_heaps();
    KmeansOptions options;
    options.clusters = 16;
    options.initial_centres = points.narrow(0, 0, 16);
    options.spherical = spherical;
    options.tolerance = 0;
    const auto expected = kmeans(points, options);
    options.device = test_device();
    const auto got = kmeans(points, options);
    EXPECT_LT(distance(got->centres, expected->centres), 1e-5);
    EXPECT_GT(agreement(got->labels, expected->labels), 0.999);
    EXPECT_NEAR(got->inertia, expected->inertia, 1e-5 * expected->inertia);
    EXPECT_EQ(got->converged, expected->converged);
  }
}

TEST_F(DeviceAnalysis, FindsTheHeapsFromCentresOfItsOwn) {
  const at::Tensor points = far_heaps();
  KmeansOptions options;
  options.clusters = 16;
  options.restarts = 4;
  const auto expected = kmeans(points, options);
  options.device = test_device();
  const auto got = kmeans(points, options);
  EXPECT_NEAR(got->inertia, expected->inertia, 1e-3 * expected->inertia);
  // The same again.
  EXPECT_TRUE(kmeans(points, options)->labels.equal(got->labels));
}

TEST_F(DeviceAnalysis, DrawsNoPointTwice) {
  // Heaps so narrow that products tell no differences, and as many centres as points.
  const PointSet points = read_points(made_points(40, 6, 4, 1e-4, 3, 5), false);
  const DeviceKmeans computed(points, test_device());
  const auto chosen = computed.seed(40, test::random_seed(5), [] { return true; });
  EXPECT_EQ(std::set<int64_t>(chosen->begin(), chosen->end()).size(), 40U);
}

TEST_F(DeviceAnalysis, TakesMoreClustersThanDifferentPoints) {
  const at::Tensor points = made_points(3, 4, 3, 1, 7).repeat({5, 1});
  KmeansOptions options;
  options.clusters = 6;
  options.device = test_device();
  const auto got = kmeans(points, options);
  EXPECT_EQ(got->inertia, 0);
  EXPECT_LT(got->labels.max().item<int32_t>(), 6);
}

TEST_F(DeviceAnalysis, MovesCentresWithoutPoints) {
  const at::Tensor points = far_heaps(2000);
  KmeansOptions options;
  options.clusters = 8;
  options.initial_centres = points.narrow(0, 0, 8).clone();
  // Nobody is near to these.
  options.initial_centres.narrow(0, 5, 3).fill_(-1000);
  options.tolerance = 0;
  const auto expected = kmeans(points, options);
  options.device = test_device();
  const auto got = kmeans(points, options);
  EXPECT_LT(distance(got->centres, expected->centres), 1e-5);
  EXPECT_NEAR(got->inertia, expected->inertia, 1e-5 * expected->inertia);
}

TEST_F(DeviceAnalysis, StopsWhenItIsTold) {
  KmeansOptions options;
  options.clusters = 16;
  options.device = test_device();
  EXPECT_FALSE(kmeans(far_heaps(500), options, [](const KmeansProgress&) { return false; }));
  EXPECT_FALSE(
      kmeans(far_heaps(500), options, [](const KmeansProgress& at) { return at.iteration < 1; }));
}

TEST_F(DeviceAnalysis, ClustersByBatches) {
  const at::Tensor points = far_heaps();
  KmeansOptions options;
  options.clusters = 16;
  options.batch_size = 512;
  const auto expected = kmeans(points, options);
  options.device = test_device();
  const auto got = kmeans(points, options);
  EXPECT_NEAR(got->inertia, expected->inertia, 0.05 * expected->inertia);
}

TEST_F(DeviceAnalysis, FitsTheMixtureThatTheCpuFits) {
  const at::Tensor points = far_heaps(3000);
  KmeansOptions clusters;
  clusters.clusters = 16;
  const at::Tensor labels = kmeans(points, clusters)->labels;
  for (const Covariance covariance :
       {Covariance::kFull, Covariance::kDiagonal, Covariance::kTied}) {
    MixtureOptions options;
    options.components = 16;
    options.covariance = covariance;
    options.max_iterations = 12;
    options.initial_labels = labels;
    const auto expected = fit_mixture(points, options);
    options.device = test_device();
    const auto got = fit_mixture(points, options);
    EXPECT_EQ(got->iterations, expected->iterations);
    EXPECT_NEAR(got->lower_bound, expected->lower_bound, 1e-8);
    EXPECT_LT(distance(got->mixture.means, expected->mixture.means), 1e-9);
    EXPECT_LT(distance(got->mixture.covariances, expected->mixture.covariances), 1e-7);
    EXPECT_GT(agreement(got->prediction.labels, expected->prediction.labels), 0.999);
    EXPECT_LT(distance(got->prediction.confidences, expected->prediction.confidences), 1e-5);
    EXPECT_LT(distance(got->prediction.log_likelihoods, expected->prediction.log_likelihoods),
              1e-8);
    const MixturePrediction other = predict(points, expected->mixture, test_device());
    EXPECT_LT(distance(other.log_likelihoods, expected->prediction.log_likelihoods), 1e-9);
  }
}

TEST_F(DeviceAnalysis, FindsTheSameNeighboursBitForBit) {
  for (const auto metric : {NeighbourMetric::kEuclidean, NeighbourMetric::kCosine}) {
    // Some points twice, and more of them than a block has queries.
    at::Tensor points = made_points(2500, 9, 5, 1, test::random_seed(1), 3);
    points = at::cat({points, points.narrow(0, 0, 300)});
    for (const bool exclude_self : {true, false}) {
      const Neighbours expected = nearest_neighbours(points, 14, metric, exclude_self);
      const Neighbours got =
          nearest_neighbours(points, 14, metric, exclude_self, {}, test_device());
      EXPECT_TRUE(got.indices.equal(expected.indices));
      EXPECT_TRUE(got.distances.equal(expected.distances));
    }
    const at::Tensor queries = made_points(77, 9, 5, 1.5, 11, 3);
    const Neighbours expected = nearest_neighbours_of(queries, points, 30, metric);
    const Neighbours got = nearest_neighbours_of(queries, points, 30, metric, {}, test_device());
    EXPECT_TRUE(got.indices.equal(expected.indices));
    EXPECT_TRUE(got.distances.equal(expected.distances));
  }
  // More than a block of them has.
  const at::Tensor many = made_points(17'000, 3, 5, 1, 8);
  const Neighbours expected = nearest_neighbours(many, 3, NeighbourMetric::kEuclidean);
  const Neighbours got =
      nearest_neighbours(many, 3, NeighbourMetric::kEuclidean, true, {}, test_device());
  EXPECT_TRUE(got.indices.equal(expected.indices));
  EXPECT_TRUE(got.distances.equal(expected.distances));
  // As many as there are.
  const at::Tensor few = made_points(5, 3, 1, 1, 2);
  const auto all = nearest_neighbours(few, 4, NeighbourMetric::kEuclidean, true, {}, test_device());
  EXPECT_TRUE(all.indices.equal(nearest_neighbours(few, 4, NeighbourMetric::kEuclidean).indices));
}

TEST_F(DeviceAnalysis, MakesTheSameMapBitForBit) {
  UmapOptions options;
  options.n_epochs = 20;
  const at::Tensor points = far_heaps(1200);
  const at::Tensor fresh = far_heaps(1300).narrow(0, 1200, 100);
  const Umap expected = Umap::fit(points, options);
  options.device = test_device();
  const Umap got = Umap::fit(points, options);
  EXPECT_TRUE(got.map().equal(expected.map()));
  EXPECT_TRUE(got.transform(fresh).equal(expected.transform(fresh)));
}

TEST_F(DeviceAnalysis, ComputesTheSameSilhouettes) {
  const at::Tensor points = far_heaps(3000);
  KmeansOptions options;
  options.clusters = 5;
  at::Tensor labels = kmeans(points, options)->labels.clone();
  // One alone in its cluster, and two that are the same point.
  labels[17].fill_(9);
  points[40].copy_(points[41]);
  const auto expected = silhouette(points, labels);
  const auto got = silhouette(points, labels, 0, 0, {}, test_device());
  EXPECT_LT((got->values - expected->values).abs().max().item<double>(), 1e-9);
  EXPECT_NEAR(got->mean, expected->mean, 1e-11);
  EXPECT_EQ(got->values[17].item<double>(), 0);
  const auto some = silhouette(points, labels, 500, 4, {}, test_device());
  EXPECT_TRUE(some->points.equal(silhouette(points, labels, 500, 4)->points));
  EXPECT_FALSE(silhouette(
      points, labels, 0, 0, [](double) { return false; }, test_device()));
}

TEST_F(DeviceAnalysis, FindsTheSamePrincipalComponents) {
  const at::Tensor points = far_heaps(4000);
  const Pca expected = fit_pca(points, 5);
  const Pca got = fit_pca(points, 5, test_device());
  EXPECT_LT(distance(got.mean, expected.mean), 1e-12);
  EXPECT_LT(distance(got.components, expected.components), 1e-9);
  EXPECT_LT(distance(got.explained_variance, expected.explained_variance), 1e-10);
  EXPECT_LT(distance(expected.transform(points, test_device()), expected.transform(points)), 1e-6);
}

TEST_F(DeviceAnalysis, MovesRunningCentresAsTheCpuDoes) {
  const at::Tensor points = far_heaps(3000);
  const PointSet read = read_points(points, false);
  const auto* first = points.const_data_ptr<float>();
  const std::vector<float> centres(first, first + 16 * 12);
  RunningCentres expected(centres, 12, false);
  RunningCentres got(centres, 12, false, {}, test_device());
  const auto nearest = got.add(read);
  EXPECT_GT(agreement(nearest.labels, expected.add(read).labels), 0.999);
  got.move();
  expected.move();
  EXPECT_LT(distance(at::tensor(got.centres()), at::tensor(expected.centres())), 1e-4);
}

}  // namespace
}  // namespace flexae
