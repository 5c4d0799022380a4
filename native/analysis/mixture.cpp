#include "analysis/mixture.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "analysis/centre_sums.h"
#include "analysis/device/device_mixture.h"
#include "analysis/kmeans.h"
#include "analysis/mixture_density.h"
#include "analysis/mixture_sums.h"
#include "analysis/parallel_products.h"
#include "analysis/point_set.h"
#include "core/base/error.h"
#include "core/base/math.h"
#include "core/base/random.h"

namespace flexae {
namespace {

/// At most as many sums of a step are kept apart, and numbers in all of them: threads add up
/// stripes of the points, whose number does not depend on theirs.
constexpr int64_t kStripes = 64;
constexpr int64_t kStripeNumbers = 1 << 25;

MixturePrediction predict_points(const PointSet& points, const Mixture& mixture) {
  MixturePrediction result{at::empty({points.count}, at::kInt),
                           at::empty({points.count}, at::kFloat),
                           at::empty({points.count}, at::kDouble)};
  auto* labels = result.labels.mutable_data_ptr<int32_t>();
  auto* confidences = result.confidences.mutable_data_ptr<float>();
  auto* log_likelihoods = result.log_likelihoods.mutable_data_ptr<double>();
  const MixtureDensity density(mixture);
  const int64_t k = density.components();
  std::vector<MixtureDensity::Scratch> scratch(static_cast<size_t>(at::get_num_threads()));
  parallel_products(ceil_div(points.count, kMixtureRows), [&](int64_t block, int thread) {
    MixtureDensity::Scratch& s = scratch[static_cast<size_t>(thread)];
    const int64_t first = block * kMixtureRows;
    const int64_t count = std::min(kMixtureRows, points.count - first);
    density.log_densities(points, first, count, s);
    for (int64_t j = 0; j < count; ++j) {
      const double* logs = s.logs.data() + j * k;
      const double* best = std::max_element(logs, logs + k);
      log_likelihoods[first + j] = log_of_sum(logs, k);
      labels[first + j] = static_cast<int32_t>(best - logs);
      confidences[first + j] = static_cast<float>(std::exp(*best - log_likelihoods[first + j]));
    }
  });
  return result;
}

class Fit {
 public:
  Fit(const PointSet& points, const MixtureOptions& options)
      : points_(points), options_(options), k_(options.components), width_(points.width) {
    if (options.device) device_.emplace(points, *options.device);
    if (options.covariance == Covariance::kTied) measure_scatter();
  }

  /// The mixture of clusters that are given.
  void begin(const at::Tensor& labels) {
    const auto* label = labels.const_data_ptr<int32_t>();
    std::vector<CentreChange> changes;
    for (int64_t i = 0; i < points_.count; ++i) changes.push_back({i, -1, label[i]});
    CentreSums sums(k_, width_);
    sums.apply(points_, changes);
    mixture_.covariance = options_.covariance;
    mixture_.means = at::zeros({k_, width_}, at::kDouble);
    auto* means = mixture_.means.mutable_data_ptr<double>();
    for (int64_t c = 0; c < k_; ++c) {
      const auto count = static_cast<double>(sums.count(static_cast<size_t>(c)));
      const double* sum = sums.sum(static_cast<size_t>(c));
      for (int64_t d = 0; d < width_ && count > 0; ++d) means[c * width_ + d] = sum[d] / count;
    }
    maximize(expect(nullptr, label));
  }

  /// One iteration. \return the mean log-likelihood before it
  double step() {
    const MixtureSums sums = device_ ? device_->expect(mixture_) : expect_here();
    maximize(sums);
    return sums.log_likelihood / static_cast<double>(points_.count);
  }

  [[nodiscard]] const Mixture& mixture() const { return mixture_; }

  /// What the mixture says of the points.
  [[nodiscard]] MixturePrediction predict(const Mixture& mixture) const {
    return device_ ? device_->predict(mixture) : predict_points(points_, mixture);
  }

 private:
  /// What a thread needs.
  struct Scratch {
    MixtureDensity::Scratch density;
    at::Tensor differences;
    at::Tensor weighted;
  };

  MixtureSums expect_here() const {
    const MixtureDensity density(mixture_);
    return expect(&density, nullptr);
  }

  /// The sums of a step, with responsibilities by densities or, if there are none, by labels.
  MixtureSums expect(const MixtureDensity* density, const int32_t* labels) const {
    const int64_t blocks = ceil_div(points_.count, kMixtureRows);
    const int64_t numbers = k_ * width_ * (options_.covariance == Covariance::kFull ? width_ : 1);
    const int64_t stripes =
        std::min(blocks, std::clamp<int64_t>(kStripeNumbers / numbers, 1, kStripes));
    std::vector<MixtureSums> sums;
    for (int64_t i = 0; i < stripes; ++i) sums.emplace_back(k_, width_, options_.covariance);
    std::vector<Scratch> scratch(static_cast<size_t>(at::get_num_threads()));
    parallel_products(stripes, [&](int64_t stripe, int thread) {
      Scratch& s = scratch[static_cast<size_t>(thread)];
      for (int64_t b = stripe * blocks / stripes; b < (stripe + 1) * blocks / stripes; ++b) {
        const int64_t first = b * kMixtureRows;
        const int64_t count = std::min(kMixtureRows, points_.count - first);
        MixtureSums& sum = sums[static_cast<size_t>(stripe)];
        if (density != nullptr) {
          density->log_densities(points_, first, count, s.density);
          for (int64_t j = 0; j < count; ++j) {
            sum.log_likelihood += to_responsibilities(s.density.logs.data() + j * k_);
          }
        } else {
          s.density.logs.assign(static_cast<size_t>(kMixtureRows * k_), 0.0);
          for (int64_t j = 0; j < count; ++j) {
            s.density.logs[static_cast<size_t>(j * k_ + labels[first + j])] = 1;
          }
        }
        add_block(first, count, s, sum);
      }
    });
    for (size_t i = 1; i < sums.size(); ++i) sums.front().add(sums[i]);
    return std::move(sums.front());
  }

  /// In place. \return the logarithm of the density
  [[nodiscard]] double to_responsibilities(double* logs) const {
    const double total = log_of_sum(logs, k_);
    for (int64_t c = 0; c < k_; ++c) logs[c] = std::exp(logs[c] - total);
    return total;
  }

  /// Adds rows [first, first + count), whose responsibilities are in s.density.logs.
  void add_block(int64_t first, int64_t count, Scratch& s, MixtureSums& sum) const {
    if (!s.differences.defined()) {
      s.differences = at::empty({kMixtureRows, width_}, at::kDouble);
      s.weighted = at::empty({kMixtureRows, width_}, at::kDouble);
    }
    auto* differences = s.differences.mutable_data_ptr<double>();
    auto* weighted = s.weighted.mutable_data_ptr<double>();
    for (int64_t c = 0; c < k_; ++c) {
      subtract_mean(points_, first, count, mixture_.means.const_data_ptr<double>() + c * width_,
                    differences);
      double* firsts = sum.first.data() + c * width_;
      for (int64_t j = 0; j < count; ++j) {
        const double r = s.density.logs[static_cast<size_t>(j * k_ + c)];
        const double* row = differences + j * width_;
        double* to = weighted + j * width_;
        sum.counts[static_cast<size_t>(c)] += r;
        for (int64_t d = 0; d < width_; ++d) {
          to[d] = r * row[d];
          firsts[d] += to[d];
        }
      }
      if (options_.covariance == Covariance::kFull) {
        sum.second[c].addmm_(s.differences.narrow(0, 0, count).t(), s.weighted.narrow(0, 0, count));
      } else if (options_.covariance == Covariance::kDiagonal) {
        auto* second = sum.second.mutable_data_ptr<double>() + c * width_;
        for (int64_t j = 0; j < count; ++j) {
          for (int64_t d = 0; d < width_; ++d) {
            second[d] += weighted[j * width_ + d] * differences[j * width_ + d];
          }
        }
      }
    }
  }

  /// The mixture that fits the sums best.
  void maximize(const MixtureSums& sums) {
    Mixture next{.covariance = options_.covariance,
                 .weights = at::empty({k_}, at::kDouble),
                 .means = mixture_.means.clone(),
                 .covariances = {},
                 .precisions_cholesky = {}};
    auto* weights = next.weights.mutable_data_ptr<double>();
    auto* means = next.means.mutable_data_ptr<double>();
    // As scikit-learn, so that a component without points divides nothing by zero.
    constexpr double kLeast = 10 * std::numeric_limits<double>::epsilon();
    double total = 0;
    std::vector<double> moves(sums.first);
    for (int64_t c = 0; c < k_; ++c) {
      weights[c] = sums.counts[static_cast<size_t>(c)] + kLeast;
      total += weights[c];
      for (int64_t d = 0; d < width_; ++d) {
        moves[static_cast<size_t>(c * width_ + d)] /= weights[c];
        means[c * width_ + d] += moves[static_cast<size_t>(c * width_ + d)];
      }
    }
    if (options_.covariance == Covariance::kTied) {
      next.covariances = tied_covariance(weights, means, total);
    } else {
      next.covariances = sums.second.clone();
      auto* covariances = next.covariances.mutable_data_ptr<double>();
      for (int64_t c = 0; c < k_; ++c) {
        const double* move = moves.data() + c * width_;
        if (options_.covariance == Covariance::kDiagonal) {
          double* row = covariances + c * width_;
          for (int64_t d = 0; d < width_; ++d) {
            row[d] = std::max(row[d] / weights[c] - move[d] * move[d], 0.0) + options_.reg_covar;
          }
          continue;
        }
        double* matrix = covariances + c * width_ * width_;
        for (int64_t d = 0; d < width_; ++d) {
          double* row = matrix + d * width_;
          for (int64_t e = 0; e < width_; ++e) row[e] = row[e] / weights[c] - move[d] * move[e];
          row[d] += options_.reg_covar;
        }
      }
    }
    for (int64_t c = 0; c < k_; ++c) weights[c] /= total;
    next.precisions_cholesky = precisions_of(next.covariances, options_.covariance);
    mixture_ = std::move(next);
  }

  /// Of all points about their components: what the components' means leave of the scatter.
  [[nodiscard]] at::Tensor tied_covariance(const double* counts, const double* means,
                                           double total) const {
    at::Tensor covariance = scatter_.clone();
    auto* matrix = covariance.mutable_data_ptr<double>();
    for (int64_t c = 0; c < k_; ++c) {
      for (int64_t d = 0; d < width_; ++d) {
        const double from_centre = means[c * width_ + d] - centre_[static_cast<size_t>(d)];
        for (int64_t e = 0; e < width_; ++e) {
          matrix[d * width_ + e] -=
              counts[c] * from_centre * (means[c * width_ + e] - centre_[static_cast<size_t>(e)]);
        }
      }
    }
    covariance.div_(total);
    for (int64_t d = 0; d < width_; ++d) matrix[d * width_ + d] += options_.reg_covar;
    return covariance;
  }

  /// Sums of products of all points' differences to their mean.
  void measure_scatter() {
    CentreSums sums(1, width_);
    std::vector<CentreChange> changes;
    for (int64_t i = 0; i < points_.count; ++i) changes.push_back({i, -1, 0});
    sums.apply(points_, changes);
    centre_.assign(sums.sum(0), sums.sum(0) + width_);
    for (double& value : centre_) value /= static_cast<double>(points_.count);
    const int64_t blocks = ceil_div(points_.count, kMixtureRows);
    const int64_t stripes =
        std::min(blocks, std::clamp<int64_t>(kStripeNumbers / (width_ * width_), 1, kStripes));
    at::Tensor parts = at::zeros({stripes, width_, width_}, at::kDouble);
    parallel_products(stripes, [&](int64_t stripe, int) {
      at::Tensor part = parts[stripe];
      const at::Tensor differences = at::empty({kMixtureRows, width_}, at::kDouble);
      for (int64_t b = stripe * blocks / stripes; b < (stripe + 1) * blocks / stripes; ++b) {
        const int64_t first = b * kMixtureRows;
        const int64_t count = std::min(kMixtureRows, points_.count - first);
        subtract_mean(points_, first, count, centre_.data(),
                      differences.mutable_data_ptr<double>());
        const at::Tensor rows = differences.narrow(0, 0, count);
        part.addmm_(rows.t(), rows);
      }
    });
    scatter_ = parts[0];
    for (int64_t i = 1; i < stripes; ++i) scatter_.add_(parts[i]);
  }

  const PointSet& points_;
  const MixtureOptions& options_;
  int64_t k_;
  int64_t width_;
  Mixture mixture_;
  std::optional<DeviceMixture> device_;  ///< where one computes with the points
  at::Tensor scatter_;                   ///< tied: D×D
  std::vector<double> centre_;           ///< tied: the mean of all points
};

void check_mixture(const MixtureOptions& options, const PointSet& points) {
  const auto check = [](const char* name, bool fits) {
    if (!fits) throw Error(ErrorCode::kConfig, std::string("expected ") + name);
  };
  check("the components of a mixture to be at least 1", options.components >= 1);
  check("the restarts of a mixture to be at least 1", options.restarts >= 1);
  check("the iterations of a mixture to be at least 1", options.max_iterations >= 1);
  check("the tolerance of a mixture to be at least 0", options.tolerance >= 0);
  check("reg_covar to be at least 0", options.reg_covar >= 0);
  if (options.components > points.count || points.count < 2) {
    throw Error(ErrorCode::kConfig, std::to_string(options.components) + " components of " +
                                        std::to_string(points.count) +
                                        " embeddings are too many: ask for fewer, or encode more "
                                        "images");
  }
  const at::Tensor& labels = options.initial_labels;
  if (!labels.defined()) return;
  if (labels.scalar_type() != at::kInt || labels.dim() != 1 || labels.size(0) != points.count ||
      !labels.is_contiguous() || labels.min().item<int32_t>() < 0 ||
      labels.max().item<int32_t>() >= options.components) {
    throw Error(ErrorCode::kData,
                "the labels to begin with must be one of int32 for each "
                "embedding, from 0 on and less than the components");
  }
}

}  // namespace

std::optional<MixtureResult> fit_mixture(const at::Tensor& embeddings,
                                         const MixtureOptions& options,
                                         const MixtureCallback& callback) {
  const PointSet points = read_points(embeddings, /*unit=*/false);
  check_mixture(options, points);
  const auto goes_on = [&](int64_t restart, int64_t iteration, double lower_bound) {
    return !callback || callback({restart, iteration, lower_bound});
  };
  std::optional<MixtureResult> best;
  Fit fit(points, options);
  const int64_t restarts = options.initial_labels.defined() ? 1 : options.restarts;
  for (int64_t restart = 0; restart < restarts; ++restart) {
    constexpr double kNothing = -std::numeric_limits<double>::infinity();
    at::Tensor labels = options.initial_labels;
    if (!labels.defined()) {
      const KmeansOptions clusters{
          .clusters = options.components,
          .seed = random_bits(options.seed, RandomPurpose::kSample, static_cast<uint64_t>(restart)),
          .initial_centres = {},
          .device = options.device};
      auto found = kmeans(points.tensor, clusters,
                          [&](const KmeansProgress&) { return goes_on(restart, 0, kNothing); });
      if (!found) return std::nullopt;
      labels = std::move(found->labels);
    }
    fit.begin(labels);
    MixtureResult result{.mixture = {},
                         .prediction = {},
                         .lower_bound = kNothing,
                         .iterations = 0,
                         .converged = false};
    while (!result.converged && result.iterations < options.max_iterations) {
      const double bound = fit.step();
      ++result.iterations;
      result.converged = std::abs(bound - result.lower_bound) < options.tolerance;
      result.lower_bound = bound;
      if (!goes_on(restart, result.iterations, bound)) return std::nullopt;
    }
    if (best && result.lower_bound <= best->lower_bound) continue;
    result.mixture = fit.mixture();
    best = std::move(result);
  }
  best->prediction = fit.predict(best->mixture);
  return best;
}

MixturePrediction predict(const at::Tensor& embeddings, const Mixture& mixture,
                          std::optional<at::Device> device) {
  const PointSet points = read_points(embeddings, /*unit=*/false);
  if (!mixture.means.defined() || mixture.means.dim() != 2 ||
      mixture.means.size(1) != points.width) {
    throw Error(ErrorCode::kData, "the embeddings are " + std::to_string(points.width) +
                                      " numbers long, and the mixture's means are not: take "
                                      "embeddings of the same model");
  }
  if (device) return DeviceMixture(points, *device).predict(mixture);
  return predict_points(points, mixture);
}

}  // namespace flexae
