#pragma once

#include <cstdint>
#include <vector>

#include "core/unfold.h"

namespace flexae {

/// The forward product of a convolution on a CPU, in fp32. Windows are read where they lie, in an
/// image that has its border of zeros with it: H×W×C, where each line of a window is one stretch.
/// Nothing is unfolded, and the sums stay in registers.
class Convolution {
 public:
  Convolution() = default;
  Convolution(const Windows& windows, int64_t out_channels);

  /// Takes the weight over: out_channels × windows.size().
  void pack(const float* weight);

  /// Values of an image with its border.
  [[nodiscard]] int64_t padded_size() const { return padded_h_ * padded_w_ * windows_.channels; }
  /// Where line `y` of the image itself begins in `padded`.
  [[nodiscard]] float* image_line(float* padded, int64_t y) const {
    return padded + ((windows_.top + y) * padded_w_ + windows_.left) * windows_.channels;
  }

  /// Output cells [begin, end), counted through images that lie padded one after another: (end −
  /// begin) × out_channels values.
  void run(const float* padded, int64_t begin, int64_t end, float* out) const;

 private:
  Windows windows_;
  int64_t out_channels_ = 0;
  int64_t padded_h_ = 0;
  int64_t padded_w_ = 0;
  std::vector<float> packed_;
};

}  // namespace flexae
