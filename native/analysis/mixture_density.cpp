#include "analysis/mixture_density.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "core/base/error.h"

namespace flexae {
namespace {

const double kLogTwoPi = std::log(2 * std::acos(-1.0));

[[noreturn]] void refuse_covariance() {
  throw Error(ErrorCode::kData,
              "the covariance of a component is not positive definite: ask for fewer components, "
              "for diagonal covariances, or raise reg_covar");
}

/// U of one covariance, D×D: the transposed inverse of its lower Cholesky factor. By hand, since
/// LAPACK's result depends on the number of threads.
void invert_factor(const double* covariance, int64_t n, double* upper) {
  std::vector<double> lower(static_cast<size_t>(n * n));
  double* l = lower.data();
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j <= i; ++j) {
      double sum = covariance[i * n + j];
      for (int64_t t = 0; t < j; ++t) sum -= l[i * n + t] * l[j * n + t];
      if (i != j) {
        l[i * n + j] = sum / l[j * n + j];
        continue;
      }
      // Not so either if it is NaN.
      if (!(sum > 0) || !std::isfinite(sum)) refuse_covariance();
      l[i * n + i] = std::sqrt(sum);
    }
  }
  // Row i of U holds column i of the inverse.
  std::fill_n(upper, n * n, 0.0);
  for (int64_t i = 0; i < n; ++i) {
    double* column = upper + i * n;
    for (int64_t r = i; r < n; ++r) {
      double sum = r == i ? 1.0 : 0.0;
      for (int64_t t = i; t < r; ++t) sum -= l[r * n + t] * column[t];
      column[r] = sum / l[r * n + r];
    }
  }
}

double squared_length(const double* row, int64_t n) {
  // Four sums, so that none waits for the last one.
  double sums[4] = {0, 0, 0, 0};
  int64_t i = 0;
  for (; i + 4 <= n; i += 4) {
    for (int64_t v = 0; v < 4; ++v) sums[v] += row[i + v] * row[i + v];
  }
  for (; i < n; ++i) sums[0] += row[i] * row[i];
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

}  // namespace

MixtureDensity::MixtureDensity(const Mixture& mixture)
    : mixture_(mixture), k_(mixture.means.size(0)), width_(mixture.means.size(1)) {
  const auto* u = mixture_.precisions_cholesky.const_data_ptr<double>();
  const auto* weights = mixture_.weights.const_data_ptr<double>();
  const auto* means = mixture_.means.const_data_ptr<double>();
  for (int64_t c = 0; c < k_; ++c) {
    double log_determinant = 0;
    for (int64_t d = 0; d < width_; ++d) {
      int64_t at = c * width_ + d;
      if (mixture_.covariance == Covariance::kFull) at = (c * width_ + d) * width_ + d;
      if (mixture_.covariance == Covariance::kTied) at = d * width_ + d;
      log_determinant += std::log(u[at]);
    }
    constants_.push_back(std::log(weights[c]) + log_determinant -
                         0.5 * kLogTwoPi * static_cast<double>(width_));
  }
  if (mixture_.covariance != Covariance::kTied) return;
  turned_.resize(static_cast<size_t>(k_ * width_));
  for (int64_t c = 0; c < k_; ++c) {
    for (int64_t d = 0; d < width_; ++d) {
      const double difference = means[c * width_ + d] - means[d];
      for (int64_t j = d; j < width_; ++j) {
        turned_[static_cast<size_t>(c * width_ + j)] += difference * u[d * width_ + j];
      }
    }
  }
}

void MixtureDensity::log_densities(const PointSet& points, int64_t first, int64_t count,
                                   Scratch& s) const {
  if (!s.differences.defined()) {
    s.differences = at::empty({kMixtureRows, width_}, at::kDouble);
    s.products = at::empty({kMixtureRows, width_}, at::kDouble);
    s.logs.resize(static_cast<size_t>(kMixtureRows * k_));
  }
  switch (mixture_.covariance) {
    case Covariance::kFull:
      return by_matrices(points, first, count, s);
    case Covariance::kTied:
      return by_one_matrix(points, first, count, s);
    case Covariance::kDiagonal:
      return by_variances(points, first, count, s);
  }
}

void MixtureDensity::by_matrices(const PointSet& points, int64_t first, int64_t count,
                                 Scratch& s) const {
  const auto* means = mixture_.means.const_data_ptr<double>();
  const at::Tensor differences = s.differences.narrow(0, 0, count);
  at::Tensor products = s.products.narrow(0, 0, count);
  const auto* product = products.const_data_ptr<double>();
  for (int64_t c = 0; c < k_; ++c) {
    subtract_mean(points, first, count, means + c * width_,
                  s.differences.mutable_data_ptr<double>());
    at::mm_out(products, differences, mixture_.precisions_cholesky[c]);
    for (int64_t j = 0; j < count; ++j) {
      s.logs[static_cast<size_t>(j * k_ + c)] =
          constants_[static_cast<size_t>(c)] - 0.5 * squared_length(product + j * width_, width_);
    }
  }
}

void MixtureDensity::by_one_matrix(const PointSet& points, int64_t first, int64_t count,
                                   Scratch& s) const {
  subtract_mean(points, first, count, mixture_.means.const_data_ptr<double>(),
                s.differences.mutable_data_ptr<double>());
  at::Tensor products = s.products.narrow(0, 0, count);
  at::mm_out(products, s.differences.narrow(0, 0, count), mixture_.precisions_cholesky);
  const auto* product = products.const_data_ptr<double>();
  std::vector<double> difference(static_cast<size_t>(width_));
  for (int64_t j = 0; j < count; ++j) {
    for (int64_t c = 0; c < k_; ++c) {
      const double* turned = turned_.data() + c * width_;
      for (int64_t d = 0; d < width_; ++d) {
        difference[static_cast<size_t>(d)] = product[j * width_ + d] - turned[d];
      }
      s.logs[static_cast<size_t>(j * k_ + c)] =
          constants_[static_cast<size_t>(c)] - 0.5 * squared_length(difference.data(), width_);
    }
  }
}

void MixtureDensity::by_variances(const PointSet& points, int64_t first, int64_t count,
                                  Scratch& s) const {
  const auto* means = mixture_.means.const_data_ptr<double>();
  const auto* roots = mixture_.precisions_cholesky.const_data_ptr<double>();
  std::vector<double> scaled(static_cast<size_t>(width_));
  for (int64_t j = 0; j < count; ++j) {
    const float* row = points.row(first + j);
    for (int64_t c = 0; c < k_; ++c) {
      const double* mean = means + c * width_;
      const double* scale = roots + c * width_;
      for (int64_t d = 0; d < width_; ++d) {
        scaled[static_cast<size_t>(d)] = (row[d] - mean[d]) * scale[d];
      }
      s.logs[static_cast<size_t>(j * k_ + c)] =
          constants_[static_cast<size_t>(c)] - 0.5 * squared_length(scaled.data(), width_);
    }
  }
}

void subtract_mean(const PointSet& points, int64_t first, int64_t count, const double* mean,
                   double* to) {
  for (int64_t j = 0; j < count; ++j, to += points.width) {
    const float* row = points.row(first + j);
    for (int64_t d = 0; d < points.width; ++d) to[d] = row[d] - mean[d];
  }
}

double log_of_sum(const double* logs, int64_t k) {
  const double greatest = *std::max_element(logs, logs + k);
  if (!std::isfinite(greatest)) return greatest;
  double sum = 0;
  for (int64_t c = 0; c < k; ++c) sum += std::exp(logs[c] - greatest);
  return greatest + std::log(sum);
}

at::Tensor precisions_of(const at::Tensor& covariances, Covariance kind) {
  at::Tensor precisions = at::empty_like(covariances);
  const auto* from = covariances.const_data_ptr<double>();
  auto* to = precisions.mutable_data_ptr<double>();
  if (kind == Covariance::kDiagonal) {
    for (int64_t i = 0; i < covariances.numel(); ++i) {
      if (!(from[i] > 0) || !std::isfinite(from[i])) refuse_covariance();
      to[i] = 1 / std::sqrt(from[i]);
    }
    return precisions;
  }
  const int64_t width = covariances.size(-1);
  for (int64_t at = 0; at < covariances.numel(); at += width * width) {
    invert_factor(from + at, width, to + at);
  }
  return precisions;
}

}  // namespace flexae
