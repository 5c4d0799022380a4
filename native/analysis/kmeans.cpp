#include "analysis/kmeans.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "analysis/device/device_kmeans.h"
#include "analysis/kmeans_seeding.h"
#include "analysis/lloyd.h"
#include "analysis/mini_batch.h"
#include "analysis/nearest_centres.h"
#include "analysis/point_set.h"
#include "core/base/error.h"
#include "core/base/random.h"

namespace flexae {
namespace {

/// What random bits of a start are for.
enum KmeansBits : uint64_t { kCentres = 1, kSubset, kBatches, kJudges };

uint64_t bits_for(const KmeansOptions& options, KmeansBits purpose, int64_t restart) {
  return random_bits(options.seed, RandomPurpose::kSample, purpose, static_cast<uint64_t>(restart));
}

void check_at_least(const char* name, int64_t least, int64_t value) {
  if (value >= least) return;
  throw Error(ErrorCode::kConfig, std::string("expected ") + name + " to be at least " +
                                      std::to_string(least) + " but received " +
                                      std::to_string(value));
}

void check_kmeans(const KmeansOptions& options, const PointSet& points) {
  check_at_least("the number of clusters", 1, options.clusters);
  check_at_least("the restarts of k-means", 1, options.restarts);
  check_at_least("the iterations of k-means", 1, options.max_iterations);
  check_at_least("the batch size of k-means", 0, options.batch_size);
  if (!(options.tolerance >= 0)) {
    throw Error(ErrorCode::kConfig, "expected the tolerance of k-means to be at least 0");
  }
  if (options.clusters > points.count) {
    throw Error(ErrorCode::kConfig, std::to_string(options.clusters) + " clusters of " +
                                        std::to_string(points.count) +
                                        " embeddings are too many: ask for fewer clusters");
  }
}

/// Centres that come from outside, contiguous.
at::Tensor checked_centres(const at::Tensor& centres, int64_t width) {
  if (centres.dim() != 2 || centres.scalar_type() != at::kFloat || !centres.is_cpu() ||
      centres.size(0) == 0 || centres.size(1) != width) {
    throw Error(ErrorCode::kData, "centres must be rows of " + std::to_string(width) +
                                      " numbers of fp32, as long as the embeddings: take those of "
                                      "the same model");
  }
  if (!at::isfinite(centres).all().item<bool>()) {
    throw Error(ErrorCode::kData, "a centre holds a number that is NaN or infinite: cluster again");
  }
  return centres.contiguous();
}

std::vector<float> as_vector(const at::Tensor& centres) {
  const auto* values = centres.const_data_ptr<float>();
  return {values, values + centres.numel()};
}

/// `count` points at random, one perhaps several times.
PointSet subset_of(const PointSet& points, int64_t count, uint64_t bits) {
  std::vector<int64_t> indices(static_cast<size_t>(count));
  for (size_t j = 0; j < indices.size(); ++j) {
    indices[j] = static_cast<int64_t>(random_bits(bits, RandomPurpose::kSample, j) %
                                      static_cast<uint64_t>(points.count));
  }
  return gather_points(points, indices);
}

double inertia_of(const at::Tensor& squared_distances) {
  // In order: at::sum's depends on the number of threads.
  const auto* values = squared_distances.const_data_ptr<float>();
  double sum = 0;
  for (int64_t i = 0; i < squared_distances.numel(); ++i) sum += values[i];
  return sum;
}

/// What `find` gives to N points, whose labels and squared distances it writes.
template <typename Find>
Assignment assigned(int64_t count, const Find& find) {
  Assignment result{at::empty({count}, at::kInt), at::empty({count}, at::kFloat)};
  find(result.labels.mutable_data_ptr<int32_t>(),
       result.squared_distances.mutable_data_ptr<float>());
  return result;
}

Assignment assign_points(const PointSet& points, const float* centres, int64_t count,
                         std::optional<at::Device> device) {
  return assigned(points.count, [&](int32_t* labels, float* squared) {
    find_nearest(points, centres, count, labels, squared, device);
  });
}

/// One computation.
class Kmeans {
 public:
  Kmeans(const PointSet& points, const KmeansOptions& options, const KmeansCallback& callback)
      : points_(points), options_(options), callback_(callback) {
    // Batches are sent one by one.
    if (options.device && options.batch_size == 0) device_.emplace(points, *options.device);
    if (!options.initial_centres.defined()) return;
    given_ = checked_centres(options.initial_centres, points.width);
    if (given_.size(0) != options.clusters) {
      throw Error(ErrorCode::kConfig, "expected " + std::to_string(options.clusters) +
                                          " centres to begin with, as many as clusters, but "
                                          "received " +
                                          std::to_string(given_.size(0)));
    }
    if (options.spherical) given_ = read_points(given_, /*unit=*/true).tensor;
  }

  std::optional<KmeansResult> run() {
    return options_.batch_size > 0 ? run_batches() : run_whole();
  }

 private:
  [[nodiscard]] bool goes_on(int64_t restart, int64_t iteration, double shift) const {
    return !callback_ || callback_({restart, iteration, shift});
  }

  /// Centres to begin with.
  [[nodiscard]] std::optional<std::vector<float>> begin(const PointSet& points,
                                                        int64_t restart) const {
    if (given_.defined()) return as_vector(given_);
    const uint64_t bits = bits_for(options_, kCentres, restart);
    const auto more = [&] { return goes_on(restart, 0, 0); };
    const auto chosen = device_ ? device_->seed(options_.clusters, bits, more)
                                : seed_centres(points, options_.clusters, bits, more);
    if (!chosen) return std::nullopt;
    std::vector<float> centres;
    for (const int64_t i : *chosen) {
      centres.insert(centres.end(), points.row(i), points.row(i) + points.width);
    }
    return centres;
  }

  [[nodiscard]] KmeansResult finish(const std::vector<float>& centres, int64_t iterations,
                                    bool converged) const {
    KmeansResult result;
    result.centres = at::empty({options_.clusters, points_.width}, at::kFloat);
    std::copy(centres.begin(), centres.end(), result.centres.mutable_data_ptr<float>());
    Assignment found = assigned(points_.count, [&](int32_t* labels, float* squared) {
      if (device_) {
        device_->points().find_nearest(centres.data(), options_.clusters, labels, squared);
      } else {
        find_nearest(points_, centres.data(), options_.clusters, labels, squared, options_.device);
      }
    });
    result.labels = std::move(found.labels);
    result.squared_distances = std::move(found.squared_distances);
    result.inertia = inertia_of(result.squared_distances);
    result.iterations = iterations;
    result.converged = converged;
    return result;
  }

  [[nodiscard]] int64_t restarts() const { return given_.defined() ? 1 : options_.restarts; }

  /// Lloyd's algorithm from each start.
  std::optional<KmeansResult> run_whole() {
    std::optional<KmeansResult> best;
    Lloyd lloyd(points_);
    for (int64_t restart = 0; restart < restarts(); ++restart) {
      auto centres = begin(points_, restart);
      if (!centres) return std::nullopt;
      const Lloyd::Settings settings{.max_iterations = options_.max_iterations,
                                     .tolerance = options_.tolerance * points_.variance,
                                     .unit = options_.spherical};
      const auto more = [&](int64_t iteration, double shift) {
        return goes_on(restart, iteration, shift);
      };
      auto outcome = device_ ? device_->run(std::move(*centres), settings, more)
                             : lloyd.run(std::move(*centres), settings, more);
      if (!outcome) return std::nullopt;
      KmeansResult result = finish(outcome->centres, outcome->iterations, outcome->converged);
      if (!best || result.inertia < best->inertia) best = std::move(result);
    }
    return best;
  }

  /// Batches from the best of the starts, as scikit-learn: each is drawn from some of the points
  /// and judged by others.
  std::optional<KmeansResult> run_batches() {
    const int64_t batch = std::min(options_.batch_size, points_.count);
    int64_t size = 3 * batch;
    if (size < options_.clusters) size = 3 * options_.clusters;
    size = std::min(size, points_.count);
    std::vector<float> best;
    double least = 0;
    const PointSet judges = subset_of(points_, size, bits_for(options_, kJudges, 0));
    for (int64_t restart = 0; restart < restarts(); ++restart) {
      auto centres =
          size < points_.count
              ? begin(subset_of(points_, size, bits_for(options_, kSubset, restart)), restart)
              : begin(points_, restart);
      if (!centres) return std::nullopt;
      const double inertia =
          inertia_of(assign_points(judges, centres->data(), options_.clusters, options_.device)
                         .squared_distances);
      if (best.empty() || inertia < least) {
        least = inertia;
        best = std::move(*centres);
      }
    }
    MiniBatch batches(points_);
    const MiniBatch::Settings settings{.batch_size = batch,
                                       .max_passes = options_.max_iterations,
                                       .unit = options_.spherical,
                                       .seed = bits_for(options_, kBatches, 0),
                                       .device = options_.device};
    const int64_t last = restarts() - 1;
    auto outcome = batches.run(std::move(best), settings, [&](int64_t iteration, double shift) {
      return goes_on(last, iteration, shift);
    });
    if (!outcome) return std::nullopt;
    return finish(outcome->centres, outcome->iterations, outcome->converged);
  }

  const PointSet& points_;
  const KmeansOptions& options_;
  const KmeansCallback& callback_;
  at::Tensor given_;
  std::optional<DeviceKmeans> device_;  ///< of all points, where a device computes with them
};

}  // namespace

std::optional<KmeansResult> kmeans(const at::Tensor& embeddings, const KmeansOptions& options,
                                   const KmeansCallback& callback) {
  const PointSet points = read_points(embeddings, options.spherical);
  check_kmeans(options, points);
  return Kmeans(points, options, callback).run();
}

Assignment assign(const at::Tensor& embeddings, const at::Tensor& centres, bool spherical,
                  std::optional<at::Device> device) {
  const PointSet points = read_points(embeddings, spherical);
  const at::Tensor checked = checked_centres(centres, points.width);
  return assign_points(points, checked.const_data_ptr<float>(), checked.size(0), device);
}

}  // namespace flexae
