#pragma once

#include <cstdint>

namespace flexae {

/// Pooling of 2×2 pixels with stride 2, of `width` pooled pixels: a and b are two rows of 2·width
/// pixels.
struct PoolingKernels {
  /// out = (a0 + a1 + b0 + b1)·weight
  void (*average_rows)(const float* a, const float* b, float* out, int64_t width, int64_t channels,
                       float weight);

  /// The greatest of a0, a1, b0, b1, the first of equals, or NaN if one is. `which`, if not null,
  /// gets the place of each, 0 to 3.
  void (*maximum_rows)(const float* a, const float* b, float* out, uint8_t* which, int64_t width,
                       int64_t channels);
};

/// The gradient of the rows a and b from that of the pooled one. Stored as T.
template <typename T>
struct UnpoolingKernels {
  /// A quarter to each.
  void (*spread_rows)(const T* grad, T* a, T* b, int64_t width, int64_t channels);

  /// All to the place that was the greatest, 0 to the others.
  void (*scatter_rows)(const T* grad, const uint8_t* which, T* a, T* b, int64_t width,
                       int64_t channels);
};

}  // namespace flexae
