#include "analysis/centre_sums.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "core/base/parallel.h"

namespace flexae {
namespace {

/// Stripes of the changes that are added up apart, so that threads share them. Each needs sums of
/// its own, so there are few where there are few changes; their number never depends on threads.
constexpr int64_t kMostStripes = 64;
constexpr int64_t kChangesACentre = 8;

}  // namespace

CentreSums::CentreSums(int64_t centres, int64_t width)
    : width_(width),
      counts_(static_cast<size_t>(centres)),
      sums_(static_cast<size_t>(centres * width)) {}

CentreSums::CentreSums(std::vector<int64_t> counts, std::vector<double> sums)
    : width_(static_cast<int64_t>(sums.size() / counts.size())),
      counts_(std::move(counts)),
      sums_(std::move(sums)) {}

void CentreSums::apply(const PointSet& points, const std::vector<CentreChange>& changes) {
  const auto centres = static_cast<int64_t>(counts_.size());
  const auto count = static_cast<int64_t>(changes.size());
  for (const CentreChange& change : changes) {
    if (change.from >= 0) --counts_[static_cast<size_t>(change.from)];
    ++counts_[static_cast<size_t>(change.to)];
  }
  const int64_t stripes = std::clamp<int64_t>(count / (kChangesACentre * centres), 1, kMostStripes);
  if (stripes == 1) {
    add(points, changes.data(), count, sums_.data());
  } else {
    std::vector<std::vector<double>> parts(static_cast<size_t>(stripes));
    parallel_for(stripes, [&](int64_t stripe, int) {
      auto& part = parts[static_cast<size_t>(stripe)];
      part.resize(sums_.size());
      const int64_t begin = stripe * count / stripes;
      add(points, changes.data() + begin, (stripe + 1) * count / stripes - begin, part.data());
    });
    for (const auto& part : parts) {
      for (size_t i = 0; i < part.size(); ++i) sums_[i] += part[i];
    }
  }
  // What rounding has left of sums that are taken away again.
  for (size_t c = 0; c < counts_.size(); ++c) {
    if (counts_[c] == 0) std::fill_n(sums_.begin() + static_cast<int64_t>(c) * width_, width_, 0.0);
  }
}

std::vector<int32_t> CentreSums::without_points() const {
  std::vector<int32_t> empty;
  for (size_t c = 0; c < counts_.size(); ++c) {
    if (counts_[c] == 0) empty.push_back(static_cast<int32_t>(c));
  }
  return empty;
}

std::vector<float> CentreSums::means(const std::vector<float>& old, bool unit) const {
  const auto width = static_cast<size_t>(width_);
  const size_t k = counts_.size();
  size_t largest = 0;
  for (size_t c = 1; c < k; ++c) {
    if (count(c) > count(largest)) largest = c;
  }
  std::vector<float> centres(old.size());
  for (size_t c = 0; c < k; ++c) {
    // One that has no point, even so, goes where most are.
    const size_t from = count(c) > 0 ? c : largest;
    const double* total = sum(from);
    double scale = 1 / static_cast<double>(count(from));
    if (unit) {
      const double length = std::sqrt(std::inner_product(total, total + width, total, 0.0));
      scale = length > 0 ? 1 / length : 0;
    }
    for (size_t d = 0; d < width; ++d) {
      // Of vectors that cancel out there is no direction.
      centres[c * width + d] =
          scale > 0 ? static_cast<float>(total[d] * scale) : old[from * width + d];
    }
  }
  return centres;
}

void CentreSums::add(const PointSet& points, const CentreChange* changes, int64_t count,
                     double* sums) const {
  for (const CentreChange* change = changes; change < changes + count; ++change) {
    const float* row = points.row(change->point);
    double* to = sums + change->to * width_;
    for (int64_t d = 0; d < width_; ++d) to[d] += row[d];
    if (change->from < 0) continue;
    double* from = sums + change->from * width_;
    for (int64_t d = 0; d < width_; ++d) from[d] -= row[d];
  }
}

double squared_moves(const std::vector<float>& from, const std::vector<float>& to) {
  double sum = 0;
  for (size_t i = 0; i < to.size(); ++i) {
    const double move = static_cast<double>(to[i]) - from[i];
    sum += move * move;
  }
  return sum;
}

}  // namespace flexae
