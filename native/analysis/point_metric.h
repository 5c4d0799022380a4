#pragma once

#include <ATen/core/Tensor.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "analysis/point_distance.h"

namespace flexae {

/// The points and what their distances are computed from.
class MeasuredPoints {
 public:
  /// The points are contiguous, N×D.
  MeasuredPoints(const at::Tensor& points, NeighbourMetric metric)
      : metric_(metric),
        values_(points.const_data_ptr<float>()),
        count_(points.size(0)),
        width_(points.size(1)) {
    if (metric != NeighbourMetric::kCosine) return;
    // A row of zeros has no direction: it is at a distance of 1 from all, as in scikit-learn.
    inverse_length_.resize(static_cast<size_t>(count_));
    const std::vector<float> origin(static_cast<size_t>(width_), 0.0F);
    for (int64_t i = 0; i < count_; ++i) {
      const double square = exact_squared_distance(row(i), 1, origin.data(), 1, width_);
      inverse_length_[static_cast<size_t>(i)] = square > 0 ? 1 / std::sqrt(square) : 0;
    }
  }

  [[nodiscard]] int64_t count() const { return count_; }
  [[nodiscard]] int64_t width() const { return width_; }
  [[nodiscard]] NeighbourMetric metric() const { return metric_; }
  [[nodiscard]] const float* row(int64_t i) const { return values_ + i * width_; }
  /// 1 / its length, or 0. Of the cosine metric alone.
  [[nodiscard]] double inverse_length(int64_t i) const {
    return inverse_length_[static_cast<size_t>(i)];
  }

  /// What grows as the distance does: its square for Euclid's, itself for the cosine's.
  [[nodiscard]] double order(int64_t i, const MeasuredPoints& others, int64_t j) const {
    if (metric_ == NeighbourMetric::kEuclidean) {
      return exact_squared_distance(row(i), 1, others.row(j), 1, width_);
    }
    const double x = inverse_length(i);
    const double y = others.inverse_length(j);
    if (x == 0 || y == 0) return 1;
    // Not 1 − the product, of which little is left for points that lie close together.
    return exact_squared_distance(row(i), x, others.row(j), y, width_) / 2;
  }

  /// The distance of which this is the order.
  [[nodiscard]] float distance(double order) const {
    return static_cast<float>(metric_ == NeighbourMetric::kEuclidean ? std::sqrt(order) : order);
  }

 private:
  NeighbourMetric metric_;
  const float* values_;
  int64_t count_;
  int64_t width_;
  std::vector<double> inverse_length_;
};

}  // namespace flexae
