#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <functional>
#include <optional>

namespace flexae {

/// How k-means is computed.
struct KmeansOptions {
  int64_t clusters = 8;
  int64_t restarts = 1;          ///< of which the one with the least inertia is taken
  int64_t max_iterations = 300;  ///< with batches: passes over as many points as there are
  /// It ends when the sum of the centres' squared moves is at most that much of the mean variance
  /// of a column, as in scikit-learn, or when no point changes its cluster. Not for batches, which
  /// end when their points' smoothed distance no longer falls.
  double tolerance = 1e-4;
  /// Embeddings and centres are divided by their lengths: clusters are by angle.
  bool spherical = false;
  /// Points of a batch, drawn at random; 0 takes all points in each iteration.
  int64_t batch_size = 0;
  uint64_t seed = 0;
  /// k×D of fp32 to begin with, in place of k-means++. There is one start then.
  at::Tensor initial_centres;
  /// Where libtorch's operations compute it. Unless given, kernels of our own do, on the CPU.
  std::optional<at::Device> device;
};

/// Where k-means is.
struct KmeansProgress {
  int64_t restart;    ///< from 0
  int64_t iteration;  ///< from 1; 0 while centres are drawn to begin with
  double shift;       ///< the sum of the centres' squared moves
};

/// Is asked after each iteration, and after each centre that is drawn to begin with, on the calling
/// thread; false ends the computation.
using KmeansCallback = std::function<bool(const KmeansProgress&)>;

/// The clusters that k-means found.
struct KmeansResult {
  at::Tensor centres;            ///< k×D of fp32
  at::Tensor labels;             ///< N of int32: the nearest centre, the first of several
  at::Tensor squared_distances;  ///< N of fp32, to that centre; for spherical 2 − 2·cosine
  double inertia;                ///< their sum
  int64_t iterations;            ///< of the start that was taken; with batches, batches
  bool converged;                ///< rather than ended by max_iterations
};

/// Clusters N×D embeddings of fp32 by k-means: starts by greedy k-means++, Lloyd's algorithm with
/// bounds, and centres without points moved as in scikit-learn. A zero vector has no direction and
/// goes, if spherical, to some cluster. The result follows from embeddings and options alone, bit
/// for bit, on a processor or device of one kind: not from the number of threads. Throws
/// Error(kConfig) for numbers out of range and more clusters than embeddings, Error(kData) for
/// embeddings that are of another shape or type, NaN or infinite. \return nothing where `callback`
/// returned false.
std::optional<KmeansResult> kmeans(const at::Tensor& embeddings, const KmeansOptions& options,
                                   const KmeansCallback& callback = {});

/// The nearest centre of each of N embeddings.
struct Assignment {
  at::Tensor labels;             ///< N of int32, the first if there are several
  at::Tensor squared_distances;  ///< N of fp32
};

/// Assigns N×D embeddings of fp32 to k×D centres; what kmeans() returns for the same embeddings.
/// With `spherical`, embeddings are divided by their lengths. `device` as KmeansOptions has it.
/// Throws Error(kData).
Assignment assign(const at::Tensor& embeddings, const at::Tensor& centres, bool spherical = false,
                  std::optional<at::Device> device = {});

}  // namespace flexae
