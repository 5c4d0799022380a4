#include "analysis/mini_batch.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "analysis/centre_groups.h"
#include "analysis/centre_sums.h"
#include "core/base/random.h"

namespace flexae {
namespace {

/// scikit-learn's reassignment_ratio and max_no_improvement.
constexpr double kFew = 0.01;
constexpr int64_t kPatience = 10;

/// Points that centres see, a centre, until those with few points are looked at.
constexpr int64_t kSeenACentre = 10;

/// What its random bits are for, beside the number of the batch.
constexpr uint64_t kReassigned = uint64_t{1} << 62;

/// When the smoothed distance of batches' points no longer falls.
class Plateau {
 public:
  /// \param weight of a batch in the smoothed distance
  explicit Plateau(double weight) : weight_(weight) {}

  /// \return whether it ends.
  bool add(double distance) {
    // That of the first batch is to centres that have seen nothing.
    if (++batches_ == 1) return false;
    smoothed_ = batches_ == 2 ? distance : smoothed_ * (1 - weight_) + distance * weight_;
    if (batches_ == 2 || smoothed_ < least_) {
      least_ = smoothed_;
      waited_ = 0;
      return false;
    }
    return ++waited_ >= kPatience;
  }

 private:
  double weight_;
  int64_t batches_ = 0;
  int64_t waited_ = 0;
  double smoothed_ = 0;
  double least_ = 0;
};

}  // namespace

std::optional<MiniBatch::Outcome> MiniBatch::run(
    std::vector<float> centres, const Settings& settings,
    const std::function<bool(int64_t iteration, double shift)>& goes_on) {
  const auto k = static_cast<int64_t>(centres.size()) / points_.width;
  const int64_t size = settings.batch_size;
  counts_.assign(static_cast<size_t>(k), 0.0);
  // As many batches as go into all passes, without their product, which may be too large.
  const int64_t batches = std::max<int64_t>(
      static_cast<int64_t>(static_cast<double>(settings.max_passes) *
                           static_cast<double>(points_.count) / static_cast<double>(size)),
      1);
  Plateau plateau(
      std::min(2.0 * static_cast<double>(size) / static_cast<double>(points_.count + 1), 1.0));
  std::vector<int64_t> drawn(static_cast<size_t>(size));
  int64_t seen = 0;
  for (int64_t iteration = 1; iteration <= batches; ++iteration) {
    for (size_t j = 0; j < drawn.size(); ++j) {
      drawn[j] = static_cast<int64_t>(
          random_bits(settings.seed, RandomPurpose::kSample, static_cast<uint64_t>(iteration), j) %
          static_cast<uint64_t>(points_.count));
    }
    const PointSet batch = gather_points(points_, drawn);
    const std::vector<float> before = centres;
    seen += size;
    const bool unseen = std::find(counts_.begin(), counts_.end(), 0.0) != counts_.end();
    const double inertia = step(batch, settings.unit, centres);
    if (unseen || seen >= kSeenACentre * k) {
      seen = 0;
      reassign(batch, settings.seed, static_cast<uint64_t>(iteration), centres);
    }
    double shift = 0;
    for (size_t i = 0; i < centres.size(); ++i) {
      const double move = static_cast<double>(centres[i]) - before[i];
      shift += move * move;
    }
    if (!goes_on(iteration, shift)) return std::nullopt;
    if (plateau.add(inertia / static_cast<double>(size))) {
      return Outcome{std::move(centres), iteration, true};
    }
  }
  return Outcome{std::move(centres), batches, false};
}

double MiniBatch::step(const PointSet& batch, bool unit, std::vector<float>& centres) {
  const auto width = static_cast<size_t>(batch.width);
  const auto k = static_cast<int64_t>(counts_.size());
  std::vector<int32_t> labels(static_cast<size_t>(batch.count));
  std::vector<float> squared(labels.size());
  find_nearest(batch, centres.data(), k, labels.data(), squared.data());
  std::vector<CentreChange> changes;
  for (size_t j = 0; j < labels.size(); ++j) {
    changes.push_back({static_cast<int64_t>(j), -1, labels[j]});
  }
  CentreSums sums(k, batch.width);
  sums.apply(batch, changes);
  for (size_t c = 0; c < counts_.size(); ++c) {
    const auto got = static_cast<double>(sums.count(c));
    if (got == 0) continue;
    const double before = std::exchange(counts_[c], counts_[c] + got);
    float* centre = centres.data() + c * width;
    double length = 0;
    std::vector<double> mean(width);
    for (size_t d = 0; d < width; ++d) {
      mean[d] = (centre[d] * before + sums.sum(c)[d]) / counts_[c];
      length += mean[d] * mean[d];
    }
    if (unit && !(length > 0)) continue;
    const double scale = unit ? 1 / std::sqrt(length) : 1;
    for (size_t d = 0; d < width; ++d) centre[d] = static_cast<float>(mean[d] * scale);
  }
  return std::accumulate(squared.begin(), squared.end(), 0.0);
}

void MiniBatch::reassign(const PointSet& batch, uint64_t seed, uint64_t iteration,
                         std::vector<float>& centres) {
  const double greatest = *std::max_element(counts_.begin(), counts_.end());
  // Those with least points first, and at most half as many as the batch has points.
  std::vector<size_t> few(counts_.size());
  std::iota(few.begin(), few.end(), size_t{0});
  std::stable_sort(few.begin(), few.end(),
                   [&](size_t a, size_t b) { return counts_[a] < counts_[b]; });
  const auto end =
      std::find_if(few.begin(), few.end(), [&](size_t c) { return counts_[c] >= kFew * greatest; });
  const auto taken = std::min<size_t>(static_cast<size_t>(end - few.begin()),
                                      static_cast<size_t>(batch.count) / 2);
  if (taken == 0) return;
  const std::vector<int64_t> order =
      random_permutation(batch.count, seed, RandomPurpose::kSample, kReassigned | iteration);
  // Their counts become those of the least that stays, lest they are looked at again at once.
  const double count = counts_[few[taken]];
  for (size_t i = 0; i < taken; ++i) {
    std::copy_n(batch.row(order[i]), batch.width,
                centres.data() + few[i] * static_cast<size_t>(batch.width));
    counts_[few[i]] = count;
  }
}

}  // namespace flexae
