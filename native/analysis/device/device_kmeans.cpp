#include "analysis/device/device_kmeans.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "analysis/kmeans_seeding.h"
#include "core/base/math.h"

namespace flexae {
namespace {

/// Points whose chances to be drawn are added up together.
constexpr int64_t kDrawnRows = 4096;

/// Greedy k-means++ on a device.
class DeviceSeeding {
 public:
  DeviceSeeding(const DevicePoints& points, uint64_t seed)
      : points_(points),
        seed_(seed),
        // Rows are added so that the chances are whole blocks; nobody draws them.
        closest_(at::zeros({round_up(points.count(), kDrawnRows)}, points.values().options())) {
    closest_.narrow(0, 0, points.count()).fill_(std::numeric_limits<float>::infinity());
    norms_ = at::empty({points.count()}, closest_.options());
    for_row_blocks(points.count(), points.width(), [&](int64_t first, int64_t rows) {
      norms_.narrow(0, first, rows).copy_(points.values().narrow(0, first, rows).square().sum(1));
    });
  }

  void begin() {
    take({static_cast<int64_t>(uniform(0, 0) * static_cast<double>(points_.count()))});
  }

  void add(int64_t candidates) { take(draw(candidates)); }

  [[nodiscard]] const std::vector<int64_t>& chosen() const { return chosen_; }

 private:
  [[nodiscard]] double uniform(uint64_t step, uint64_t trial) const {
    return seeding_share(seed_, step, trial);
  }

  /// Points at random, by their squared distances to the nearest centre.
  [[nodiscard]] std::vector<int64_t> draw(int64_t count) const {
    const at::Tensor rows = closest_.view({-1, kDrawnRows});
    const auto sums = to_host<double>(rows.sum(1, /*keepdim=*/false, at::kDouble));
    double potential = 0;
    for (const double sum : sums) potential += sum;
    const auto step = static_cast<uint64_t>(chosen_.size());
    std::vector<double> left;
    std::vector<int64_t> blocks;
    for (int64_t t = 0; t < count; ++t) {
      double rest = uniform(step, static_cast<uint64_t>(t)) * potential;
      size_t block = 0;
      while (block + 1 < sums.size() && rest >= sums[block]) rest -= sums[block++];
      left.push_back(rest);
      blocks.push_back(static_cast<int64_t>(block));
    }
    const auto chances =
        to_host<float>(rows.index_select(0, at::tensor(blocks).to(closest_.device())));
    std::vector<int64_t> drawn;
    for (size_t t = 0; t < blocks.size(); ++t) {
      const float* row = chances.data() + t * static_cast<size_t>(kDrawnRows);
      int64_t place = 0;
      // What rounding has left falls to the last point that can be drawn.
      int64_t last = 0;
      double rest = left[t];
      for (; place < kDrawnRows; ++place) {
        if (row[place] > 0) last = place;
        if (rest < row[place]) break;
        rest -= row[place];
      }
      if (place == kDrawnRows) place = last;
      drawn.push_back(std::min(blocks[t] * kDrawnRows + place, points_.count() - 1));
    }
    if (potential > 0) return drawn;
    // All points are centres already, or like them.
    for (size_t t = 0; t < drawn.size(); ++t) {
      drawn[t] = static_cast<int64_t>(uniform(step, t) * static_cast<double>(points_.count()));
    }
    return drawn;
  }

  /// Takes that candidate which leaves the least sum of distances.
  void take(const std::vector<int64_t>& candidates) {
    const auto count = static_cast<int64_t>(candidates.size());
    const at::Tensor which = at::tensor(candidates).to(closest_.device());
    const at::Tensor rows = points_.values().index_select(0, which);
    at::Tensor nearer = at::empty({points_.count(), count}, closest_.options());
    at::Tensor sums = at::zeros({count}, closest_.options().dtype(at::kDouble));
    for_row_blocks(points_.count(), std::max(count, points_.width()),
                   [&](int64_t first, int64_t size) {
                     at::Tensor block = nearer.narrow(0, first, size);
                     block.copy_(at::minimum(distances(first, size, which, rows),
                                             closest_.narrow(0, first, size).unsqueeze(1)));
                     sums.add_(block.sum(0, /*keepdim=*/false, at::kDouble));
                   });
    const auto left = to_host<double>(sums);
    const auto best = std::min_element(left.begin(), left.end()) - left.begin();
    closest_.narrow(0, 0, points_.count()).copy_(nearer.select(1, best));
    chosen_.push_back(candidates[static_cast<size_t>(best)]);
  }

  /// Squared distances of points [first, first + size) to the candidates.
  [[nodiscard]] at::Tensor distances(int64_t first, int64_t size, const at::Tensor& which,
                                     const at::Tensor& candidates) const {
    const at::NoTF32Guard exact;
    const at::Tensor points = points_.values().narrow(0, first, size);
    const at::Tensor norms =
        norms_.narrow(0, first, size).unsqueeze(1) + norms_.index_select(0, which);
    at::Tensor squared = at::addmm(norms, points, candidates.t(), /*beta=*/1, /*alpha=*/-2);
    const at::Tensor doubtful = (squared < norms * kNearInSeeding).nonzero();
    const int64_t width = points_.width();
    for_row_blocks(doubtful.size(0), width, [&](int64_t from, int64_t some) {
      const at::Tensor pairs = doubtful.narrow(0, from, some);
      const at::Tensor point = pairs.select(1, 0);
      const at::Tensor candidate = pairs.select(1, 1);
      squared.index_put_({point, candidate}, points.index_select(0, point)
                                                 .sub_(candidates.index_select(0, candidate))
                                                 .square_()
                                                 .sum(1));
    });
    return squared;
  }

  const DevicePoints& points_;
  uint64_t seed_;
  at::Tensor closest_;  ///< squared distances to the nearest centre
  at::Tensor norms_;    ///< squared lengths
  std::vector<int64_t> chosen_;
};

}  // namespace

std::optional<std::vector<int64_t>> DeviceKmeans::seed(int64_t k, uint64_t seed,
                                                       const std::function<bool()>& goes_on) const {
  return choose_centres(DeviceSeeding(points_, seed), k, goes_on);
}

std::optional<Lloyd::Outcome> DeviceKmeans::run(
    std::vector<float> centres, const Lloyd::Settings& settings,
    const std::function<bool(int64_t iteration, double shift)>& goes_on) const {
  const int64_t k = static_cast<int64_t>(centres.size()) / points_.width();
  at::Tensor labels;
  for (int64_t iteration = 1; iteration <= settings.max_iterations; ++iteration) {
    at::Tensor nearest = points_.nearest(points_.centres(centres));
    if (iteration > 1 && nearest.equal(labels)) {
      return Lloyd::Outcome{std::move(centres), iteration, true};
    }
    labels = std::move(nearest);
    CentreSums sums = sums_of(labels, k);
    fill_empty(centres, labels, sums);
    std::vector<float> moved = sums.means(centres, settings.unit);
    const double shift = squared_moves(centres, moved);
    centres = std::move(moved);
    if (!goes_on(iteration, shift)) return std::nullopt;
    if (shift <= settings.tolerance) return Lloyd::Outcome{std::move(centres), iteration, true};
  }
  return Lloyd::Outcome{std::move(centres), settings.max_iterations, false};
}

CentreSums DeviceKmeans::sums_of(const at::Tensor& labels, int64_t k) const {
  const auto wide = labels.options().dtype(at::kDouble);
  at::Tensor sums = at::zeros({k, points_.width()}, wide);
  at::Tensor counts = at::zeros({k}, wide);
  for_row_blocks(points_.count(), 2 * (k + points_.width()), [&](int64_t first, int64_t rows) {
    at::Tensor members = at::zeros({rows, k}, wide);
    members.scatter_(1, labels.narrow(0, first, rows).unsqueeze(1), 1.0);
    counts.add_(members.sum(0));
    sums.addmm_(members.t(), points_.values().narrow(0, first, rows).to(at::kDouble));
  });
  const auto numbers = to_host<double>(counts);
  auto totals = to_host<double>(sums);
  // What was subtracted from each point.
  for (size_t c = 0; c < numbers.size() && !host_.shift.empty(); ++c) {
    for (size_t d = 0; d < host_.shift.size(); ++d) {
      totals[c * host_.shift.size() + d] += numbers[c] * host_.shift[d];
    }
  }
  return {std::vector<int64_t>(numbers.begin(), numbers.end()), std::move(totals)};
}

void DeviceKmeans::fill_empty(const std::vector<float>& centres, at::Tensor& labels,
                              CentreSums& sums) const {
  const std::vector<int32_t> empty = sums.without_points();
  if (empty.empty()) return;
  const auto taken = std::min<int64_t>(static_cast<int64_t>(empty.size()), points_.count());
  const at::Tensor squared = points_.squared_distances(points_.centres(centres), labels);
  // Stable: of points equally far the first.
  const at::Tensor farthest =
      std::get<1>(squared.sort(/*stable=*/true, /*dim=*/0, /*descending=*/true))
          .narrow(0, 0, taken);
  const auto points = to_host<int64_t>(farthest);
  const auto far = to_host<float>(squared.index_select(0, farthest));
  const auto from = to_host<int64_t>(labels.index_select(0, farthest));
  std::vector<CentreChange> changes;
  for (size_t e = 0; e < points.size(); ++e) {
    // More centres than different points.
    if (far[e] == 0) break;
    changes.push_back({points[e], static_cast<int32_t>(from[e]), empty[e]});
    labels[points[e]].fill_(empty[e]);
  }
  std::sort(changes.begin(), changes.end(),
            [](const CentreChange& a, const CentreChange& b) { return a.point < b.point; });
  sums.apply(host_, changes);
}

}  // namespace flexae
