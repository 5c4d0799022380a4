#pragma once

#include <cstdint>
#include <vector>

#include "core/base/aligned_vector.h"
#include "core/cpu/backward_data.h"
#include "core/cpu/conv_geometry.h"
#include "core/cpu/packed_weight.h"
#include "core/cpu/winograd_1d.h"
#include "core/cpu/winograd_2d.h"
#include "core/tensor/scratch_buffer.h"

namespace flexae {

/// The three products of a convolution on a CPU, between a grid and the windows of images (see
/// ConvGeometry): forward, the gradient of its input (backward_data) and that of its weight
/// (backward_weights). A transposed convolution is the same with the first two exchanged: its
/// forward pass is backward_data. Factors are fp32 or bf16 (T), sums are fp32. Grids and images
/// that a product reads, or that backward_data writes, have the borders that geometry() tells, and
/// ConvGeometry::slack() more values behind the last one, which must be finite; the grid that
/// forward writes has none. Where the processor multiplies T, nothing is unfolded: values are read
/// where they lie, and sums stay in registers, or with many channels Winograd's algorithm takes
/// fewer products. Elsewhere bf16 windows are unfolded, and the BLAS in libtorch multiplies them.
/// Every method but prepare(), pack() and store_weight_gradient() is for several threads at a
/// time, each with its own `thread` below what prepare() was told.
template <typename T>
class Convolution {
 public:
  enum class Product { kForward, kBackwardData };

  /// How products are computed. kWinograd only where Winograd<T>::supports() the windows. kLines:
  /// in place, but LineWinograd goes forward, where that supports them; fp32 only.
  enum class Algorithm { kUnfolded, kInPlace, kLines, kWinograd };

  Convolution() = default;
  /// `geometry` without borders but for what its image must have at least. The weight has
  /// grid_channels × geometry.size() values.
  explicit Convolution(const ConvGeometry& geometry)
      : Convolution(geometry, best_algorithm(geometry)) {}
  Convolution(const ConvGeometry& geometry, Algorithm algorithm);

  /// Whether values are best read where they lie on this processor.
  [[nodiscard]] static bool multiplies_in_place();
  [[nodiscard]] Algorithm algorithm() const { return algorithm_; }

  [[nodiscard]] const ConvGeometry& geometry() const { return geometry_; }

  /// Takes the weight over, which must stay where it is.
  void prepare(const float* weight, int threads);
  /// After prepare(), before the first forward() or backward_data().
  void pack(Product product);

  /// Cells [begin, end) of the grid = windows · weightᵀ, narrowed if O is bf16. By kWinograd of
  /// whole images only, by kLines of whole rows.
  template <typename O>
  void forward(const T* images, int64_t begin, int64_t end, O* grid, int thread);

  /// `count` whole images = the sum of all windows of grid · weight. Pixels under no window must be
  /// zero before.
  void backward_data(const T* grid, int64_t count, float* images, int thread);

  /// Values of the sums of a weight gradient.
  [[nodiscard]] int64_t sums_size() const;
  /// Adds windowsᵀ · grid of `count` images, one at least, to sums, or sets them if they are
  /// `fresh`.
  void backward_weights(const T* grid, const T* images, int64_t count, float* sums, bool fresh,
                        int thread);
  /// The gradient of grid channels [begin, end), in the weight's layout, from such sums of `parts`
  /// of the images, which lie one behind the other.
  void store_weight_gradient(const float* sums, int64_t parts, int64_t begin, int64_t end,
                             float* gradient) const;

 private:
  using Item = typename Factor<T>::Item;

  struct Scratch {
    ScratchBuffer<float> windows;  // windows of a tile, before they are added up
    ScratchBuffer<float> block;    // results or cells of a block
    ScratchBuffer<T> unfolded;     // windows of a tile
    ScratchBuffer<T> cells;        // of a tile
    ScratchBuffer<Item> pairs;     // values of images with those a stride behind
    ScratchBuffer<Item> items;     // cells in whole registers, or pairs of them
    ScratchBuffer<T> zeros;        // a cell's partner where there is none
    ScratchBuffer<float> lines;    // combinations of lines
  };

  Scratch& scratch(int thread) { return scratch_[static_cast<size_t>(thread)]; }
  /// grid_channels in whole registers: between the rows of the sums of a weight gradient.
  [[nodiscard]] int64_t rounded_channels() const;
  template <typename O>
  void forward_in_place(const T* images, int64_t begin, int64_t end, O* grid) const;
  void backward_weights_in_place(const T* grid, const T* images, int64_t count, float* sums,
                                 bool fresh, int thread);
  /// A weight gradient takes rows [row, row + rows) of the grid at a time, of `images` images.
  struct Band {
    int64_t row = 0;
    int64_t rows = 0;
    int64_t images = 0;
  };
  /// Calls body(first image, band) for all rows of `count` images.
  template <typename Body>
  void for_each_band(int64_t count, Body body) const;
  /// What a weight gradient multiplies at a time: a value, or two of neighbouring cells. `steps`:
  /// where the windows of each step's cells begin, or the cells are.
  const Item* image_items(const T* images, const Band& band, int thread, Lattice& steps);
  const Item* grid_items(const T* grid, const Band& band, int thread, Lattice& steps);
  /// Cells [begin, end) without the border.
  const T* plain_cells(const T* grid, int64_t begin, int64_t end, int thread);
  /// Calls body(first, last) for the cells [begin, end) in tiles of windows of `bytes` a value.
  template <typename Body>
  void for_each_tile(int64_t begin, int64_t end, size_t bytes, Body body) const;
  /// Calls body(first, last, rows) for the cells [begin, end) in tiles, with their windows.
  template <typename Body>
  void for_each_unfolded(const T* images, int64_t begin, int64_t end, int thread, Body body);

  [[nodiscard]] static Algorithm best_algorithm(const ConvGeometry& geometry);

  Algorithm algorithm_ = Algorithm::kInPlace;
  ConvGeometry geometry_;
  BackwardData<T> backward_data_;
  Winograd<T> winograd_;
  LineWinograd lines_;
  const float* wide_weight_ = nullptr;
  const T* weight_ = nullptr;
  AlignedVector<T> narrow_weight_;
  PackedWeight<T> forward_weight_;
  std::vector<Scratch> scratch_;
};

}  // namespace flexae
