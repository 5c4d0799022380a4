#pragma once

#include <cstdint>

namespace flexae {

/// How far two points are from each other: √Σ(x − y)², or 1 − cos of the angle between them.
enum class NeighbourMetric { kEuclidean, kCosine };

/// Σ(scale_x·x − scale_y·y)² in fp64, of fp32 numbers. Always added up in the same order, and the
/// same with x and y exchanged.
inline double exact_squared_distance(const float* x, double scale_x, const float* y, double scale_y,
                                     int64_t width) {
  constexpr int64_t kSums = 4;
  double sums[kSums] = {0, 0, 0, 0};
  int64_t d = 0;
  for (; d + kSums <= width; d += kSums) {
    for (int64_t s = 0; s < kSums; ++s) {
      const double difference =
          scale_x * static_cast<double>(x[d + s]) - scale_y * static_cast<double>(y[d + s]);
      sums[s] += difference * difference;
    }
  }
  for (; d < width; ++d) {
    const double difference =
        scale_x * static_cast<double>(x[d]) - scale_y * static_cast<double>(y[d]);
    sums[0] += difference * difference;
  }
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

}  // namespace flexae
