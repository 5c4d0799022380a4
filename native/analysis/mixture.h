#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <functional>
#include <optional>

namespace flexae {

/// What the covariances of a mixture's components are.
enum class Covariance {
  kFull,      ///< a matrix each
  kDiagonal,  ///< a variance for each column
  kTied       ///< one matrix for all
};

/// How a mixture is fitted.
struct MixtureOptions {
  int64_t components = 8;
  Covariance covariance = Covariance::kFull;
  int64_t restarts = 1;  ///< of which the one with the greatest lower bound is taken
  int64_t max_iterations = 100;
  double tolerance = 1e-3;    ///< it ends when the lower bound changes by less
  double reg_covar = 1e-6;    ///< is added to variances, so that none becomes zero
  uint64_t seed = 0;          ///< of k-means, which finds the components to begin with
  at::Tensor initial_labels;  ///< N of int32 below `components`, in place of k-means; one start
  std::optional<at::Device> device;  ///< as KmeansOptions has it
};

/// A mixture of Gaussians. All tensors are fp64; k components, D columns.
struct Mixture {
  Covariance covariance = Covariance::kFull;
  at::Tensor weights;  ///< k, whose sum is 1
  at::Tensor means;    ///< k×D
  /// k×D×D for full, k×D for diagonal, D×D for tied.
  at::Tensor covariances;
  /// Upper triangular U with U·Uᵀ the inverse of the covariance, in scikit-learn's layout; for
  /// diagonal 1/√variance. The same shape.
  at::Tensor precisions_cholesky;
};

/// What a mixture says of N embeddings.
struct MixturePrediction {
  at::Tensor labels;           ///< N of int32: the most probable component, the first of several
  at::Tensor confidences;      ///< N of fp32: its probability, the greatest responsibility
  at::Tensor log_likelihoods;  ///< N of fp64: the logarithm of the mixture's density
};

/// A mixture that was fitted.
struct MixtureResult {
  Mixture mixture;
  MixturePrediction prediction;  ///< of the embeddings that it was fitted to
  /// The mean log-likelihood before the last step, which convergence is judged by, as in
  /// scikit-learn.
  double lower_bound;
  int64_t iterations;  ///< of the start that was taken
  bool converged;      ///< rather than ended by max_iterations
};

/// Where the fit is.
struct MixtureProgress {
  int64_t restart;    ///< from 0
  int64_t iteration;  ///< from 1; 0 while k-means finds the components to begin with
  double lower_bound;
};

/// Is asked after each iteration, on the calling thread; false ends the computation.
using MixtureCallback = std::function<bool(const MixtureProgress&)>;

/// Fits a mixture of Gaussians to N×D embeddings of fp32 by expectation maximization, in fp64, from
/// the clusters of k-means. The result follows from embeddings and options alone, bit for bit, on a
/// processor or device of one kind: not from the number of threads. Throws Error(kConfig) for
/// numbers out of range and more components than embeddings; Error(kData) for embeddings as
/// kmeans() does, and where a covariance is not positive definite. \return nothing where `callback`
/// returned false.
std::optional<MixtureResult> fit_mixture(const at::Tensor& embeddings,
                                         const MixtureOptions& options,
                                         const MixtureCallback& callback = {});

/// What the mixture says of N×D embeddings of fp32. Throws Error(kData) where the embeddings cannot
/// be used or are not as long as the mixture's means.
MixturePrediction predict(const at::Tensor& embeddings, const Mixture& mixture,
                          std::optional<at::Device> device = {});

}  // namespace flexae
