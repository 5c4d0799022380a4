#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "core/base/aligned_vector.h"
#include "core/cpu/conv_geometry.h"
#include "core/cpu/packed_weight.h"
#include "core/cpu/winograd_tiles.h"
#include "core/tensor/scratch_buffer.h"

namespace flexae {

/// The three products of a convolution (see Convolution) with fewer multiplications, by Winograd's
/// minimal filtering (Lavin and Gray, 2016): a tile of 2×2 cells is made of 16 sums over
/// combinations of pixels times combinations of weights, F(2, 3) of them in each direction where
/// three taps of a window lie a stride apart, F(2, 2) where two do. A stride splits windows into
/// phases of fewer taps, and more than three taps of a phase are taken by threes and twos; all of
/// them share the 16 sums. A 5×5 window at a stride of 2 takes 49 multiplications a tile instead of
/// 100, a 15×15 window at a stride of 1 takes 400 instead of 900. Results differ from the direct
/// way's by rounding: combinations of up to four values are rounded to T.
template <typename T>
class Winograd {
 public:
  Winograd() = default;
  /// Gives the image the border that its last tiles touch. Only of what it supports().
  explicit Winograd(ConvGeometry& geometry) : tiles_(geometry) {}

  /// Whether channels fill a register, on both sides.
  [[nodiscard]] static bool supports(const ConvGeometry& geometry);
  /// Whether that is faster than multiplying directly: with many channels.
  [[nodiscard]] static bool is_profitable(const ConvGeometry& geometry);

  void prepare(int threads);
  /// Takes the weight over, grid_channels × kernel·kernel·channels values, for forward() or for
  /// backward_data().
  void pack_forward(const float* weight);
  void pack_backward_data(const float* weight);

  /// As Convolution's, of `count` whole images.
  template <typename O>
  void forward(const T* images, int64_t count, O* grid, int thread);
  void backward_data(const T* grid, int64_t count, float* images, int thread);
  [[nodiscard]] int64_t sums_size() const;
  void backward_weights(const T* grid, const T* images, int64_t count, float* sums, bool fresh,
                        int thread);
  void store_weight_gradient(const float* sums, int64_t parts, int64_t begin, int64_t end,
                             float* gradient) const;

 private:
  using Item = typename Factor<T>::Item;
  struct Scratch {
    WinogradTiles::Memory<T> tiles;
    ScratchBuffer<float> sums;        // of a block's tiles, or combinations of pixels
    ScratchBuffer<Item> pixel_items;  // of two tiles each, where products take pairs
    ScratchBuffer<Item> cell_items;
    ScratchBuffer<T> zeros;
  };

  [[nodiscard]] const ConvGeometry& geometry() const { return tiles_.geometry(); }
  Scratch& scratch(int thread) { return scratch_[static_cast<size_t>(thread)]; }
  /// The combined weight for sum `sum`: grid_channels × width(sum).
  AlignedVector<float> combine_weight(const float* weight, int sum) const;
  /// Calls body(sum, combined weight as T) for all sums, on several threads.
  template <typename Body>
  void for_each_weight(const float* weight, Body body) const;

  /// `count` rows of `width` values as items.
  static const Item* items(const T* rows, int64_t count, int64_t width, Item* to, const T* zeros);

  WinogradTiles tiles_;
  std::array<PackedWeight<T>, WinogradTiles::kAllSums> forward_weight_, backward_data_weight_;
  std::vector<Scratch> scratch_;
};

}  // namespace flexae
