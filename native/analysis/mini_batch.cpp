#include "analysis/mini_batch.h"

#include <algorithm>
#include <utility>

#include "analysis/centre_sums.h"
#include "analysis/running_centres.h"
#include "core/base/random.h"

namespace flexae {
namespace {

/// scikit-learn's max_no_improvement.
constexpr int64_t kPatience = 10;

/// Points that centres see, a centre, until those with few points are looked at.
constexpr int64_t kSeenACentre = 10;

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
  RunningCentres running(std::move(centres), points_.width, settings.unit, {}, settings.device);
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
    const std::vector<float> before = running.centres();
    seen += size;
    const std::vector<double>& counts = running.counts();
    const bool unseen = std::find(counts.begin(), counts.end(), 0.0) != counts.end();
    const double inertia = running.add(batch).inertia;
    running.move();
    if (unseen || seen >= kSeenACentre * k) {
      seen = 0;
      running.reassign(batch, settings.seed, static_cast<uint64_t>(iteration));
    }
    if (!goes_on(iteration, squared_moves(before, running.centres()))) return std::nullopt;
    if (plateau.add(inertia / static_cast<double>(size))) {
      return Outcome{running.centres(), iteration, true};
    }
  }
  return Outcome{running.centres(), batches, false};
}

}  // namespace flexae
