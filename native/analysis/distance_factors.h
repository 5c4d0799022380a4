#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "analysis/point_metric.h"

namespace flexae {

/// Rows of fp32 whose products are, but for rounding, what MeasuredPoints::order() gives, times
/// scale(): |x|² − 2x·y + |y|² as one product of (−2x, |x|², 1) and (y, 1, |y|²).
class DistanceFactors {
 public:
  DistanceFactors(const MeasuredPoints& queries, const MeasuredPoints& points);

  [[nodiscard]] const at::Tensor& queries() const { return queries_; }
  [[nodiscard]] const at::Tensor& points() const { return points_; }

  /// A power of two that keeps squares within fp32.
  [[nodiscard]] double scale() const { return scale_; }

  /// How far the product of a query with a point is at most from the scaled order, if that is no
  /// more than `order`.
  [[nodiscard]] double error(int64_t query, double order) const;

 private:
  void make_euclidean(const MeasuredPoints& queries, const MeasuredPoints& points);
  void make_cosine(const MeasuredPoints& queries, const MeasuredPoints& points);

  at::Tensor queries_;
  at::Tensor points_;
  double scale_ = 1;
  double rounding_ = 0;         // of a product, relative to the sum of the magnitudes in it
  std::vector<float> lengths_;  // of queries, scaled; of the Euclidean metric alone
};

}  // namespace flexae
