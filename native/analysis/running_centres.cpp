#include "analysis/running_centres.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "analysis/nearest_centres.h"
#include "core/base/random.h"

namespace flexae {
namespace {

/// scikit-learn's reassignment_ratio.
constexpr double kFew = 0.01;

/// What its random bits are for, beside the number of the batch.
constexpr uint64_t kReassigned = uint64_t{1} << 62;

}  // namespace

RunningCentres::RunningCentres(std::vector<float> centres, int64_t width, bool unit,
                               std::vector<double> counts, std::optional<at::Device> device)
    : centres_(std::move(centres)),
      counts_(std::move(counts)),
      width_(width),
      unit_(unit),
      device_(device),
      sums_(static_cast<int64_t>(centres_.size()) / width, width) {
  counts_.resize(centres_.size() / static_cast<size_t>(width));
}

RunningCentres::Nearest RunningCentres::add(const PointSet& points) {
  Nearest nearest{at::empty({points.count}, at::kInt), at::empty({points.count}, at::kFloat), 0};
  auto* labels = nearest.labels.mutable_data_ptr<int32_t>();
  auto* squared = nearest.squared_distances.mutable_data_ptr<float>();
  find_nearest(points, centres_.data(), static_cast<int64_t>(counts_.size()), labels, squared,
               device_);
  std::vector<CentreChange> changes;
  changes.reserve(static_cast<size_t>(points.count));
  for (int64_t j = 0; j < points.count; ++j) changes.push_back({j, -1, labels[j]});
  sums_.apply(points, changes);
  nearest.inertia = std::accumulate(squared, squared + points.count, 0.0);
  return nearest;
}

void RunningCentres::move() {
  const auto width = static_cast<size_t>(width_);
  for (size_t c = 0; c < counts_.size(); ++c) {
    const auto got = static_cast<double>(sums_.count(c));
    if (got == 0) continue;
    const double before = std::exchange(counts_[c], counts_[c] + got);
    float* centre = centres_.data() + c * width;
    double length = 0;
    std::vector<double> mean(width);
    for (size_t d = 0; d < width; ++d) {
      mean[d] = (centre[d] * before + sums_.sum(c)[d]) / counts_[c];
      length += mean[d] * mean[d];
    }
    // Of vectors that cancel out there is no direction.
    if (unit_ && !(length > 0)) continue;
    const double scale = unit_ ? 1 / std::sqrt(length) : 1;
    for (size_t d = 0; d < width; ++d) centre[d] = static_cast<float>(mean[d] * scale);
  }
  sums_ = CentreSums(static_cast<int64_t>(counts_.size()), width_);
}

void RunningCentres::reassign(const PointSet& batch, uint64_t seed, uint64_t iteration) {
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
                centres_.data() + few[i] * static_cast<size_t>(batch.width));
    counts_[few[i]] = count;
  }
}

}  // namespace flexae
