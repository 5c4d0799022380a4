#include "analysis/pca.h"

#include "test/analysis/map_expected.h"
#include "test/analysis/map_points.h"

namespace flexae {
namespace {

TEST(Pca, IsScikitLearns) {
  const at::Tensor points = test::uniform_points(60, 5, 1, /*stretched=*/true);
  const Pca pca = fit_pca(points, 3);
  EXPECT_TRUE(at::allclose(pca.mean, test::expected(test::kPcaMean, {5}), 1e-10));
  EXPECT_TRUE(
      at::allclose(pca.components, test::expected(test::kPcaComponents, {3, 5}), 1e-8, 1e-10));
  EXPECT_TRUE(at::allclose(pca.explained_variance, test::expected(test::kPcaVariance, {3}), 1e-10));
  EXPECT_TRUE(at::allclose(pca.explained_variance_ratio,
                           test::expected(test::kPcaVarianceRatio, {3}), 1e-10));
  EXPECT_TRUE(at::allclose(pca.transform(points).narrow(0, 0, 6).to(at::kDouble),
                           test::expected(test::kPcaTransformed, {6, 3}), 1e-6, 1e-6));
}

TEST(Pca, IsTheSameForAnyNumberOfThreads) {
  const at::Tensor points = test::blob_points(5000, 70, 6, 41);
  const Pca expected = fit_pca(points, 10);
  const at::Tensor transformed = expected.transform(points);
  const at::Tensor few = expected.transform(points.narrow(0, 0, 9));
  test::with_threads([&](int) {
    const Pca pca = fit_pca(points, 10);
    EXPECT_TRUE(test::same(pca.mean, expected.mean));
    EXPECT_TRUE(test::same(pca.components, expected.components));
    EXPECT_TRUE(test::same(pca.explained_variance, expected.explained_variance));
    EXPECT_TRUE(test::same(pca.transform(points), transformed));
    EXPECT_TRUE(test::same(pca.transform(points.narrow(0, 0, 9)), few));
  });
}

TEST(Pca, OfAllComponentsKeepsDistances) {
  const at::Tensor points = test::uniform_points(40, 6, 42) + 1000;
  const Pca pca = fit_pca(points, 6);
  EXPECT_NEAR(pca.explained_variance_ratio.sum().item<double>(), 1, 1e-12);
  const at::Tensor turned = pca.transform(points).to(at::kDouble);
  EXPECT_TRUE(at::allclose(at::pdist(turned), at::pdist(points.to(at::kDouble)), 1e-4, 1e-6));
}

TEST(Pca, OfFewPointsHasNoVarianceBeyondThem) {
  const Pca pca = fit_pca(test::uniform_points(3, 10, 43), 3);
  EXPECT_GE(pca.explained_variance.min().item<double>(), 0);
  EXPECT_LT(pca.explained_variance[2].item<double>(), 1e-12);
  const Pca still = fit_pca(at::ones({4, 2}), 2);
  EXPECT_TRUE(at::equal(still.explained_variance_ratio, at::zeros({2}, at::kDouble)));
}

TEST(Pca, RefusesWhatCannotBe) {
  const at::Tensor points = test::uniform_points(10, 4, 44);
  test::expect_error(ErrorCode::kConfig, "there are 1 to 4 principal components, not 5",
                     [&] { fit_pca(points, 5); });
  test::expect_error(ErrorCode::kConfig, "not 0", [&] { fit_pca(points, 0); });
  test::expect_error(ErrorCode::kData, "two points at least",
                     [&] { fit_pca(points.narrow(0, 0, 1), 1); });
  const Pca pca = fit_pca(points, 2);
  test::expect_error(ErrorCode::kData, "3 values a row, not 4",
                     [&] { (void)pca.transform(points.narrow(1, 0, 3)); });
}

}  // namespace
}  // namespace flexae
