#include "analysis/running_centres.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "analysis/kmeans.h"
#include "test/analysis/made_points.h"

namespace flexae {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)

constexpr int64_t kWidth = 7;
constexpr int64_t kClusters = 12;

std::vector<float> values_of(const at::Tensor& tensor) {
  const at::Tensor whole = tensor.contiguous();
  const auto* first = whole.const_data_ptr<float>();
  return {first, first + whole.numel()};
}

at::Tensor as_rows(const std::vector<float>& centres) {
  return at::tensor(centres).view({-1, kWidth});
}

/// Adds points in pieces. \return the sum of squared distances
double add_pieces(RunningCentres& running, const at::Tensor& points, int64_t piece, bool unit) {
  double inertia = 0;
  for (int64_t from = 0; from < points.size(0); from += piece) {
    const int64_t rows = std::min(piece, points.size(0) - from);
    inertia += running.add(read_points(points.narrow(0, from, rows), unit)).inertia;
  }
  return inertia;
}

TEST(RunningCentres, AMoveOfAllPointsIsAnIterationOfLloyds) {
  for (const bool unit : {false, true}) {
    const at::Tensor points = made_points(5000, kWidth, 30, 4, 21);
    KmeansOptions options;
    options.clusters = kClusters;
    options.spherical = unit;
    options.initial_centres = points.narrow(0, 100, kClusters);
    std::vector<float> centres =
        values_of(read_points(options.initial_centres.contiguous(), unit).tensor);
    for (int64_t iterations = 1; iterations <= 5; ++iterations) {
      options.max_iterations = iterations;
      options.tolerance = 0;
      RunningCentres running(centres, kWidth, unit);
      (void)add_pieces(running, points, 777, unit);
      running.move();
      centres = running.centres();
      EXPECT_LT(difference(as_rows(centres), kmeans(points, options)->centres), 1e-5) << iterations;
    }
  }
}

TEST(RunningCentres, FindsWhatAssignFinds) {
  const at::Tensor points = made_points(3000, kWidth, 30, 4, 22);
  const at::Tensor centres = points.narrow(0, 50, kClusters).contiguous();
  RunningCentres running(values_of(centres), kWidth, /*unit=*/false);
  const auto nearest = running.add(read_points(points, /*unit=*/false));
  const Assignment assigned = assign(points, centres);
  EXPECT_TRUE(nearest.labels.equal(assigned.labels));
  EXPECT_TRUE(nearest.squared_distances.equal(assigned.squared_distances));
  EXPECT_NEAR(nearest.inertia, assigned.squared_distances.to(at::kDouble).sum().item<double>(),
              1e-6 * nearest.inertia);
}

TEST(RunningCentres, ACentreIsTheMeanOfAllItsPointsAndOfThoseItIsSaidToHaveHad) {
  const at::Tensor points = at::tensor({1.0F, 2.0F, 3.0F, 100.0F}).view({4, 1});
  RunningCentres running({0.0F, 90.0F, 1000.0F}, 1, /*unit=*/false, {1.0, 0.0, 5.0});
  (void)running.add(read_points(points, /*unit=*/false));
  // Nothing moves before it is told to.
  EXPECT_EQ(running.centres(), (std::vector<float>{0.0F, 90.0F, 1000.0F}));
  running.move();
  EXPECT_EQ(running.centres(), (std::vector<float>{1.5F, 100.0F, 1000.0F}));
  EXPECT_EQ(running.counts(), (std::vector<double>{4.0, 1.0, 5.0}));
  (void)running.add(read_points(points.narrow(0, 0, 1), /*unit=*/false));
  running.move();
  EXPECT_EQ(running.centres(), (std::vector<float>{1.4F, 100.0F, 1000.0F}));
  EXPECT_EQ(running.counts(), (std::vector<double>{5.0, 1.0, 5.0}));
}

TEST(RunningCentres, AreTheSameForAnyNumberOfThreads) {
  const at::Tensor points = made_points(20'000, kWidth, 30, 4, 23);
  const std::vector<float> begin = values_of(points.narrow(0, 0, kClusters));
  const auto after = [&](int threads) {
    const WithThreads with(threads);
    RunningCentres running(begin, kWidth, /*unit=*/false);
    for (int pass = 0; pass < 3; ++pass) {
      (void)add_pieces(running, points, 6000, /*unit=*/false);
      running.move();
    }
    return running.centres();
  };
  const std::vector<float> one = after(1);
  for (const int threads : {2, 3}) EXPECT_EQ(after(threads), one);
}

}  // namespace
}  // namespace flexae
