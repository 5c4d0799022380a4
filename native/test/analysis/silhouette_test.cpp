#include "analysis/silhouette.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/base/error.h"
#include "test/analysis/expected.h"
#include "test/analysis/made_points.h"

namespace flexae {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)

/// Labels that fit badly, one of them for a single point.
at::Tensor bad_labels() {
  const at::Tensor labels = at::arange(200, at::kInt).remainder(4);
  labels.slice(0, 0, 200, 9).fill_(1);
  labels[5] = 9;
  return labels;
}

TEST(Silhouette, IsThatOfScikitLearn) {
  const at::Tensor points = made_points(200, 5, 4, 4, 1);
  for (const at::ScalarType type : {at::kInt, at::kLong}) {
    const auto result = silhouette(points, bad_labels().to(type));
    EXPECT_LT(difference(result->values, as_tensor(expected::kSilhouettes, {200})), 1e-9);
    EXPECT_NEAR(result->mean, expected::kSilhouette, 1e-9);
    EXPECT_TRUE(result->points.equal(at::arange(200)));
    EXPECT_EQ(result->values[5].item<double>(), 0.0);
  }
}

TEST(Silhouette, OfASampleIsThatOfItsPoints) {
  const at::Tensor points = made_points(2000, 5, 4, 1.5, 1);
  const at::Tensor labels = at::arange(2000).remainder(4);
  const auto sampled = silhouette(points, labels, 700, 3);
  EXPECT_EQ(std::get<0>(at::_unique(sampled->points)).numel(), 700);
  const auto alone =
      silhouette(points.index_select(0, sampled->points), labels.index_select(0, sampled->points));
  EXPECT_TRUE(alone->values.equal(sampled->values));
  EXPECT_EQ(alone->mean, sampled->mean);
  EXPECT_NEAR(sampled->mean, silhouette(points, labels)->mean, 0.05);
  EXPECT_FALSE(silhouette(points, labels, 700, 4)->points.equal(sampled->points));
  // All of them are no sample.
  EXPECT_EQ(silhouette(points, labels, 2000)->mean, silhouette(points, labels)->mean);
}

TEST(Silhouette, EqualPointsAreAtNoDistance) {
  // Two places, far from zero: nothing is as good.
  const at::Tensor points = made_points(2, 30, 2, 1, 2, 1e4).repeat({100, 1});
  const auto result = silhouette(points, at::arange(200).remainder(2));
  EXPECT_TRUE(result->values.equal(at::ones({200}, at::kDouble)));
  // One place: neither good nor bad.
  const auto same = silhouette(at::ones({10, 3}), at::arange(10).remainder(2));
  EXPECT_TRUE(same->values.equal(at::zeros({10}, at::kDouble)));
}

TEST(Silhouette, IsTheSameForAnyNumberOfThreads) {
  for (const int64_t count : {90, 3001}) {
    const at::Tensor points = made_points(count, 33, 5, 4, 3);
    const at::Tensor labels = at::arange(count).remainder(7);
    const auto here = silhouette(points, labels);
    for (const int threads : {1, 2, 3}) {
      const WithThreads with(threads);
      const auto again = silhouette(points, labels);
      EXPECT_TRUE(again->values.equal(here->values));
      EXPECT_EQ(again->mean, here->mean);
    }
  }
}

TEST(Silhouette, EndsWhenItsCallbackSaysSo) {
  const at::Tensor points = made_points(9000, 2, 5, 4, 3);
  const at::Tensor labels = at::arange(9000).remainder(5);
  std::vector<double> shares;
  const auto keep = [&](double share) {
    shares.push_back(share);
    return true;
  };
  EXPECT_TRUE(silhouette(points, labels, 0, 0, keep).has_value());
  ASSERT_GT(shares.size(), 1U);
  EXPECT_EQ(shares.back(), 1.0);
  EXPECT_FALSE(silhouette(points, labels, 0, 0, [](double) { return false; }).has_value());
}

TEST(Silhouette, SaysWhatIsWrong) {
  const at::Tensor points = made_points(200, 5, 4, 4, 1);
  const auto code = [&](const at::Tensor& labels, int64_t samples = 0) {
    try {
      (void)silhouette(points, labels, samples);
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::kInternal;
  };
  EXPECT_EQ(code(at::zeros({200}, at::kInt)), ErrorCode::kConfig);
  EXPECT_EQ(code(at::arange(200)), ErrorCode::kConfig);
  EXPECT_EQ(code(bad_labels(), -1), ErrorCode::kConfig);
  EXPECT_EQ(code(bad_labels(), 1), ErrorCode::kConfig);
  EXPECT_EQ(code(bad_labels().narrow(0, 0, 199)), ErrorCode::kData);
  EXPECT_EQ(code(bad_labels().to(at::kFloat)), ErrorCode::kData);
  EXPECT_EQ(code(at::Tensor()), ErrorCode::kData);
}

}  // namespace
}  // namespace flexae
