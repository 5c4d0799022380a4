#pragma once

#include <cstdint>
#include <vector>

#include "core/cpu/conv_geometry.h"
#include "core/cpu/packed_weight.h"
#include "core/tensor/scratch_buffer.h"

namespace flexae {

/// The grid of a convolution of images with few channels, with fewer multiplications, in fp32: as
/// Winograd does it (see winograd_2d.h), but only along lines, two cells at a time. Where pixels
/// have too few channels to combine them tile by tile, whole lines are combined instead, three
/// ways: pixels less those one or two strides behind, pixels plus and pixels less those one stride
/// behind. A 5×5 window at a stride of 2 takes 35 multiplications a cell instead of 50 for two,
/// and results differ from the direct way's by rounding.
class LineWinograd {
 public:
  LineWinograd() = default;
  /// Of what it supports().
  explicit LineWinograd(const ConvGeometry& geometry);

  /// Whether this processor has the registers for it, and a window two or three taps in each phase.
  [[nodiscard]] static bool supports(const ConvGeometry& geometry);
  /// Whether that is faster than multiplying directly: with many channels in the grid, few in the
  /// image.
  [[nodiscard]] static bool is_profitable(const ConvGeometry& geometry);

  /// Takes the weight over, grid_channels × kernel·kernel·channels values.
  void pack(const float* weight);

  /// As Convolution::forward(), of whole rows of the grid. `scratch`: the thread's own.
  void forward(const float* images, int64_t begin, int64_t end, float* grid,
               ScratchBuffer<float>& scratch) const;

 private:
  static constexpr int kSums = 4;

  [[nodiscard]] int64_t tiles() const { return ceil_div(geometry_.grid_w, 2); }
  /// Values of a stride, and between the combinations of a line.
  [[nodiscard]] int64_t stride() const { return geometry_.stride * geometry_.channels; }
  [[nodiscard]] int64_t line() const { return 2 * tiles() * stride(); }
  /// Values of the phases with three taps, which come first.
  [[nodiscard]] int64_t three_taps() const {
    return geometry_.kernel * geometry_.channels - 2 * stride();
  }
  /// Rows [row, row + rows) of image `image`.
  void forward_rows(const float* image, int64_t row, int64_t rows, float* grid,
                    float* combined) const;

  ConvGeometry geometry_;
  int64_t offsets_[kSums] = {};  ///< of what a sum takes, from where a tile begins
  int64_t widths_[kSums] = {};
  std::vector<float> has_three_;  ///< by value of a line: whether its phase has three taps
  PackedWeight<float> packed_;
};

}  // namespace flexae
