#pragma once

#include <cstdint>

namespace flexae {

/// Images on their way into a network.
struct ImageKernels {
  /// `pixels` values of each of three planes, which are `plane` values apart, to pixels of three
  /// values.
  void (*interleave)(const float* planes, int64_t plane, int64_t pixels, float* out);

  /// A row of `width` pixels of 1 or 3 bytes from right to left.
  void (*reverse_pixels)(const uint8_t* row, uint8_t* out, int64_t width, int64_t channels);

  /// Bytes to floats in [0, 1].
  void (*scale_bytes)(const uint8_t* bytes, float* out, int64_t n);
};

}  // namespace flexae
