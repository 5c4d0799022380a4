#pragma once

#include <cstdint>
#include <vector>

#include "analysis/mixture.h"
#include "analysis/point_set.h"

namespace flexae {

/// Rows that are computed together; whatever belongs to a thread is that large.
constexpr int64_t kMixtureRows = 256;

/// The densities of a mixture's components. Products are made by at::mm on whole blocks, so it is
/// called from parallel_products(): on one thread the BLAS adds up in an order of its own.
class MixtureDensity {
 public:
  /// What a thread needs. Kept from block to block.
  struct Scratch {
    at::Tensor differences;    ///< kMixtureRows×D
    at::Tensor products;       ///< kMixtureRows×D
    std::vector<double> logs;  ///< kMixtureRows×k
  };

  explicit MixtureDensity(const Mixture& mixture);

  /// log(weight · density) of each component for rows [first, first + count), into s.logs, k a row.
  void log_densities(const PointSet& points, int64_t first, int64_t count, Scratch& s) const;

  [[nodiscard]] int64_t components() const { return k_; }
  /// Of each component: what of the logarithm does not depend on the point.
  [[nodiscard]] const std::vector<double>& constants() const { return constants_; }

 private:
  void by_matrices(const PointSet& points, int64_t first, int64_t count, Scratch& s) const;
  void by_one_matrix(const PointSet& points, int64_t first, int64_t count, Scratch& s) const;
  void by_variances(const PointSet& points, int64_t first, int64_t count, Scratch& s) const;

  Mixture mixture_;
  int64_t k_;
  int64_t width_;
  std::vector<double> constants_;
  std::vector<double> turned_;  ///< tied: (mean − first mean)·U, k×D
};

/// Differences of rows [first, first + count) of the points and a mean, into `to`.
void subtract_mean(const PointSet& points, int64_t first, int64_t count, const double* mean,
                   double* to);

/// Of logarithms of k parts: the logarithm of their sum.
double log_of_sum(const double* logs, int64_t k);

/// `covariances` by precisions_cholesky as Mixture has them. Throws Error(kData) where one is not
/// positive definite.
at::Tensor precisions_of(const at::Tensor& covariances, Covariance kind);

}  // namespace flexae
