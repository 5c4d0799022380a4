#pragma once

#include <cstdint>
#include <vector>

#include "core/float_buffer.h"
#include "core/precision.h"
#include "core/scatter.h"
#include "core/windows.h"

namespace flexae {

/// The three products between a grid and the windows of images, on a CPU. A convolution gathers
/// forward and scatters its input's gradient, a transposed convolution the other way round. Grids
/// and images that a product reads or scatters to have the borders that windows() tells; a gathered
/// grid has none. In fp32 nothing is unfolded: values are read where they lie, and sums stay in
/// registers. Every method but prepare(), pack() and store_weight_gradient() is for several threads
/// at a time, each with its own `thread` below what prepare() was told.
class Convolution {
 public:
  Convolution() = default;
  /// `windows` without borders but for what its image must have at least. The weight has
  /// grid_channels × windows.size() values.
  explicit Convolution(const Windows& windows) : windows_(windows), scatter_(windows_) {}

  [[nodiscard]] const Windows& windows() const { return windows_; }

  /// Takes the weight over, which must stay where it is.
  void prepare(const float* weight, Precision precision, int threads);
  enum class Product { kGather, kScatter };
  /// After prepare(), before the first gather() or scatter().
  void pack(Product product);

  /// Cells [begin, end) of the grid = windows · weightᵀ.
  void gather(const float* images, int64_t begin, int64_t end, float* grid, int thread);

  /// `count` whole images = the sum of all windows of grid · weight. Pixels under no window must be
  /// zero before.
  void scatter(const float* grid, int64_t count, float* images, int thread);

  /// Values of the sums of a weight gradient.
  [[nodiscard]] int64_t sums_size() const;
  /// Adds windowsᵀ · grid of `count` images to sums.
  void add_weight_gradient(const float* grid, const float* images, int64_t count, float* sums,
                           int thread);
  /// The gradient, in the weight's layout, from such sums.
  void store_weight_gradient(const float* sums, float* gradient) const;

 private:
  struct Scratch {
    FloatBuffer windows;  // windows of a tile, before they are added up
    FloatBuffer block;    // results or cells of a block
    // Factors of a product as bf16: images, unfolded windows of a tile, cells of a tile.
    std::vector<uint16_t> images, unfolded, cells;
  };

  Scratch& scratch(int thread) { return scratch_[static_cast<size_t>(thread)]; }
  void pack_for_gather();
  /// grid_channels in whole registers: between the rows of the sums of a weight gradient.
  [[nodiscard]] int64_t rounded_channels() const;
  void add_weight_gradient_in_place(const float* grid, const float* images, int64_t count,
                                    float* sums, int thread);
  void gather_in_place(const float* images, int64_t begin, int64_t end, float* grid) const;
  [[nodiscard]] const uint16_t* narrow_cells(const float* grid, int64_t begin, int64_t end,
                                             int thread);
  [[nodiscard]] const uint16_t* narrow_images(const float* images, int64_t count, int thread);
  /// Calls body(first, last) for the cells [begin, end) in tiles of windows of `bytes` a value.
  template <typename Body>
  void for_each_tile(int64_t begin, int64_t end, size_t bytes, Body body) const;
  /// Calls body(first, last, rows) for the cells [begin, end) in tiles, with their windows as bf16.
  template <typename Body>
  void for_each_unfolded(const float* images, int64_t begin, int64_t end, int thread, Body body);

  Windows windows_;
  Scatter scatter_;
  Precision precision_ = Precision::kFp32;
  const float* weight_ = nullptr;
  std::vector<float> packed_;
  std::vector<uint16_t> narrow_weight_;
  std::vector<Scratch> scratch_;
};

}  // namespace flexae
