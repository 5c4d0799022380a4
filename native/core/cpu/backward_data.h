#pragma once

#include <cstdint>
#include <vector>

#include "core/base/aligned_vector.h"
#include "core/cpu/conv_geometry.h"
#include "core/cpu/packed_weight.h"

namespace flexae {

/// Sums of windows onto images, image = Σ grid · weight over all cells, without windows in memory.
/// Factors are stored as T (fp32 or bf16), sums are fp32. Seen from the image: pixels a stride
/// apart lie under the same taps of their windows, so that they are a small convolution of the
/// grid, read where it lies.
template <typename T>
class BackwardData {
 public:
  BackwardData() = default;
  /// Chooses the cheapest plan, and gives grid and image the borders that it touches.
  explicit BackwardData(ConvGeometry& geometry);

  /// Takes the weight over: grid_channels × kernel·kernel·channels values.
  void pack(const T* weight);

  /// Writes `count` images, but for pixels that lie under no window. `scratch`: scratch_size()
  /// values.
  void run(const T* grid, int64_t count, float* images, float* scratch) const;
  [[nodiscard]] int64_t scratch_size() const;

 private:
  /// The image falls into blocks, a stride high and one or more strides wide. A part of a block:
  /// pixels that are computed together, from the same cells.
  struct Part {
    int64_t row = 0;  ///< its first pixel in the block
    int64_t column = 0;
    int64_t rows = 0;  ///< of pixels
    int64_t columns = 0;
    int64_t lines = 0;   ///< of cells; the last one is the block's own
    int64_t cells = 0;   ///< in each
    int64_t before = 0;  ///< of them, those in front of the block
    PackedWeight<T> packed;
    AlignedVector<T> filters;  ///< of a plan of dots
  };
  struct Plan {
    int64_t width = 1;  ///< of a block, in strides
    /// Each value is a sum along the cells' channels, instead of several values from one channel.
    bool dots = false;
    std::vector<Part> parts;
  };

  [[nodiscard]] int64_t taps(int64_t phase) const;
  [[nodiscard]] Plan by_taps() const;
  [[nodiscard]] Plan by_blocks(int64_t width, bool whole) const;
  [[nodiscard]] int64_t blocks_across(int64_t width) const;
  [[nodiscard]] double cost(const Plan& plan) const;
  void pack(const T* weight, int64_t begin, int64_t end, Part& part) const;
  void pack_filters(const T* weight, Part& part) const;
  /// Values of the cells under a part of a plan of dots, in whole registers.
  [[nodiscard]] int64_t filter_width(const Part& part) const;
  void run(const Part& part, const T* grid, int64_t begin, int64_t end, float* images,
           float* scratch) const;
  void convolve(const Part& part, const T* const* cells, float* const* out, int64_t count) const;

  ConvGeometry geometry_;
  Plan plan_;
};

}  // namespace flexae
