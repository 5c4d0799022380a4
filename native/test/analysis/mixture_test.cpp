#include "analysis/mixture.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "core/base/error.h"
#include "test/analysis/expected.h"
#include "test/analysis/made_points.h"

namespace flexae {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)

constexpr Covariance kKinds[] = {Covariance::kFull, Covariance::kDiagonal, Covariance::kTied};

at::Tensor mixed() {
  return made_points(240, 3, 3, 2.0, 4);
}

/// Labels that are wrong here and there, to begin with.
at::Tensor first_labels() {
  const at::Tensor labels = at::arange(240, at::kInt).remainder(3);
  labels.slice(0, 0, 240, 7).zero_();
  return labels;
}

MixtureOptions from_labels(Covariance kind) {
  MixtureOptions options;
  options.components = 3;
  options.covariance = kind;
  options.initial_labels = first_labels();
  return options;
}

/// What make_expected.py wrote about one kind of covariances.
struct ExpectedMixture {
  double lower_bound;
  int64_t iterations;
  at::Tensor weights, means, covariances, precisions, log_likelihoods, labels, confidences;
};

#define EXPECTED_MIXTURE(name, sizes)                                                            \
  ExpectedMixture {                                                                              \
    expected::k##name##LowerBound, expected::k##name##Iterations,                                \
        as_tensor(expected::k##name##Weights, {3}), as_tensor(expected::k##name##Means, {3, 3}), \
        as_tensor(expected::k##name##Covariances, sizes),                                        \
        as_tensor(expected::k##name##Precisions, sizes),                                         \
        as_tensor(expected::k##name##LogLikelihoods, {20}),                                      \
        as_tensor(expected::k##name##Labels, {20}),                                              \
        as_tensor(expected::k##name##Confidences, {20})                                          \
  }

void expect_mixture(Covariance kind, const ExpectedMixture& expected) {
  const auto result = fit_mixture(mixed(), from_labels(kind));
  EXPECT_NEAR(result->lower_bound, expected.lower_bound, 1e-9);
  EXPECT_EQ(result->iterations, expected.iterations);
  EXPECT_TRUE(result->converged);
  EXPECT_LT(difference(result->mixture.weights, expected.weights), 1e-9);
  EXPECT_LT(difference(result->mixture.means, expected.means), 1e-8);
  EXPECT_LT(difference(result->mixture.covariances, expected.covariances), 1e-8);
  EXPECT_LT(difference(result->mixture.precisions_cholesky, expected.precisions), 1e-8);
  const MixturePrediction of_new = predict(made_points(20, 3, 3, 2.5, 4), result->mixture);
  EXPECT_LT(difference(of_new.log_likelihoods, expected.log_likelihoods), 1e-7);
  EXPECT_TRUE(of_new.labels.equal(expected.labels));
  EXPECT_LT(difference(of_new.confidences, expected.confidences), 1e-6);
}

TEST(Mixture, FullFindsWhatScikitLearnFinds) {
  const std::vector<int64_t> sizes{3, 3, 3};
  expect_mixture(Covariance::kFull, EXPECTED_MIXTURE(Full, sizes));
}

TEST(Mixture, DiagonalFindsWhatScikitLearnFinds) {
  const std::vector<int64_t> sizes{3, 3};
  expect_mixture(Covariance::kDiagonal, EXPECTED_MIXTURE(Diagonal, sizes));
}

TEST(Mixture, TiedFindsWhatScikitLearnFinds) {
  const std::vector<int64_t> sizes{3, 3};
  expect_mixture(Covariance::kTied, EXPECTED_MIXTURE(Tied, sizes));
}

TEST(Mixture, FromKmeansFindsComponentsThatLieApart) {
  const at::Tensor points = made_points(2000, 6, 8, 0.3, 3);
  for (const Covariance kind : kKinds) {
    SCOPED_TRACE(static_cast<int>(kind));
    MixtureOptions options;
    options.covariance = kind;
    options.restarts = 3;
    const auto result = fit_mixture(points, options);
    const at::Tensor rows = result->prediction.labels.view({250, 8});
    EXPECT_TRUE(rows.equal(rows.narrow(0, 0, 1).expand({250, 8})));
    EXPECT_LT(difference(result->mixture.weights, at::full({8}, 0.125)), 1e-6);
    EXPECT_TRUE(result->prediction.confidences.gt(0.99).all().item<bool>());
  }
}

TEST(Mixture, TheLowerBoundNeverFalls) {
  for (const Covariance kind : kKinds) {
    SCOPED_TRACE(static_cast<int>(kind));
    MixtureOptions options = from_labels(kind);
    options.tolerance = 0;
    options.max_iterations = 40;
    double last = -std::numeric_limits<double>::infinity();
    const auto result = fit_mixture(mixed(), options, [&](const MixtureProgress& progress) {
      // reg_covar is no part of the likelihood.
      EXPECT_GE(progress.lower_bound, last - 1e-6) << progress.iteration;
      last = progress.lower_bound;
      return true;
    });
    EXPECT_NEAR(result->prediction.log_likelihoods.mean().item<double>(), last, 1e-3);
  }
}

TEST(Mixture, IsTheSameForAnyNumberOfThreads) {
  // One block of points, and many.
  for (const int64_t count : {200, 5001}) {
    const at::Tensor points = made_points(count, 20, 6, 3, 5);
    for (const Covariance kind : kKinds) {
      MixtureOptions options;
      options.components = 6;
      options.covariance = kind;
      options.reg_covar = 1e-3;
      options.max_iterations = 5;
      const auto here = fit_mixture(points, options);
      for (const int threads : {1, 2, 3}) {
        const WithThreads with(threads);
        const auto again = fit_mixture(points, options);
        EXPECT_EQ(again->lower_bound, here->lower_bound);
        EXPECT_TRUE(again->mixture.means.equal(here->mixture.means));
        EXPECT_TRUE(again->mixture.covariances.equal(here->mixture.covariances));
        EXPECT_TRUE(again->prediction.log_likelihoods.equal(here->prediction.log_likelihoods));
        EXPECT_TRUE(again->prediction.labels.equal(here->prediction.labels));
      }
    }
  }
}

TEST(Mixture, PointsThatAreTheSameHaveTheLeastVariance) {
  const at::Tensor points = at::ones({50, 3});
  for (const Covariance kind : kKinds) {
    MixtureOptions options;
    options.components = 2;
    options.covariance = kind;
    const auto result = fit_mixture(points, options);
    EXPECT_TRUE(at::isfinite(result->prediction.log_likelihoods).all().item<bool>());
    EXPECT_TRUE(result->mixture.covariances.max().item<double>() < 1.1e-6);
    // One of them has all points, the other none.
    EXPECT_EQ(result->mixture.weights.max().item<double>(), 1.0);
    const at::Tensor all = result->mixture.means[result->mixture.weights.argmax().item<int64_t>()];
    EXPECT_LT(difference(all, at::ones({3})), 1e-12);
  }
}

TEST(Mixture, EndsWhenItsCallbackSaysSo) {
  MixtureOptions options;
  options.components = 3;
  int64_t last = -1;
  EXPECT_FALSE(fit_mixture(mixed(), options, [&](const MixtureProgress& progress) {
                 last = progress.iteration;
                 return progress.iteration < 2;
               }).has_value());
  EXPECT_EQ(last, 2);
  EXPECT_FALSE(
      fit_mixture(mixed(), options, [](const MixtureProgress&) { return false; }).has_value());
}

TEST(Mixture, SaysWhatIsWrong) {
  const auto code = [](const at::Tensor& points, auto change) {
    MixtureOptions options;
    change(options);
    try {
      (void)fit_mixture(points, options);
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::kInternal;
  };
  const at::Tensor points = mixed();
  EXPECT_EQ(code(points, [](MixtureOptions& o) { o.components = 0; }), ErrorCode::kConfig);
  EXPECT_EQ(code(points, [](MixtureOptions& o) { o.components = 241; }), ErrorCode::kConfig);
  EXPECT_EQ(code(points, [](MixtureOptions& o) { o.restarts = 0; }), ErrorCode::kConfig);
  EXPECT_EQ(code(points, [](MixtureOptions& o) { o.max_iterations = 0; }), ErrorCode::kConfig);
  EXPECT_EQ(code(points, [](MixtureOptions& o) { o.tolerance = -1; }), ErrorCode::kConfig);
  EXPECT_EQ(code(points, [](MixtureOptions& o) { o.reg_covar = -1; }), ErrorCode::kConfig);
  // Of these labels one is too large, and these are too few.
  EXPECT_EQ(
      code(points, [](MixtureOptions& o) { o.initial_labels = at::full({240}, 8, at::kInt); }),
      ErrorCode::kData);
  EXPECT_EQ(code(points, [](MixtureOptions& o) { o.initial_labels = at::zeros({9}, at::kInt); }),
            ErrorCode::kData);
  // Without reg_covar equal points have no density.
  EXPECT_EQ(code(at::ones({50, 3}), [](MixtureOptions& o) { o.reg_covar = 0; }), ErrorCode::kData);
  EXPECT_EQ(code(points * (0.0 / 0.0), [](MixtureOptions&) {}), ErrorCode::kData);
  const auto result = fit_mixture(points, from_labels(Covariance::kFull));
  EXPECT_THROW((void)predict(at::zeros({4, 2}), result->mixture), Error);
}

}  // namespace
}  // namespace flexae
