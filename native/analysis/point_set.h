#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace flexae {

/// Embeddings as clustering reads them.
struct PointSet {
  at::Tensor tensor;  ///< N×D of fp32, contiguous; unit vectors if they were asked for
  int64_t count = 0;
  int64_t width = 0;
  /// What is subtracted before points and centres are multiplied: their mean, if it is so far from
  /// zero that differences would drown in rounding. Else empty.
  std::vector<float> shift;
  double variance = 0;       ///< the mean of the columns' variances
  std::vector<float> norms;  ///< N: squared lengths, of what the shift leaves

  [[nodiscard]] const float* row(int64_t i) const { return values_ + i * width; }

  explicit PointSet(at::Tensor points);

 private:
  const float* values_;
};

/// Reads N×D embeddings of fp32 on the CPU. With `unit`, vectors are copied and divided by their
/// length; a zero vector, which has no direction, stays zero. Throws Error(kData) where there is
/// none, where the shape or the type is another, and where a number is NaN, infinite or so large
/// that its square is no fp32.
PointSet read_points(const at::Tensor& embeddings, bool unit);

/// The rows `indices` of the points as points of their own, with the same shift.
PointSet gather_points(const PointSet& points, const std::vector<int64_t>& indices);

/// Points that a thread takes at a time: they stay in its cache. It depends on the width alone, as
/// sums by blocks do.
int64_t points_at_once(int64_t width);

}  // namespace flexae
