#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "core/base/math.h"
#include "core/cpu/conv_geometry.h"
#include "core/cpu/packed_weight.h"
#include "core/tensor/scratch_buffer.h"

namespace flexae {

/// The three products of a convolution (see Convolution) with fewer multiplications, by Winograd's
/// minimal filtering (Lavin and Gray, 2016): a tile of 2×2 cells is made of 16 sums over
/// combinations of pixels times combinations of weights, F(2, 3) of them in each direction where
/// three taps of a window lie a stride apart, F(2, 2) where two do. A stride splits windows into
/// phases of fewer taps, and all phases share the 16 sums. A 5×5 window at a stride of 2 takes 49
/// multiplications a tile instead of 100. Results differ from the direct way's by rounding:
/// combinations of up to four values are rounded to T.
template <typename T>
class Winograd {
 public:
  Winograd() = default;
  /// Gives the image the border that its last tiles touch. Only of what it supports().
  explicit Winograd(Windows& windows);

  /// Whether channels fill whole registers and a window has at most three taps in each phase.
  [[nodiscard]] static bool supports(const Windows& windows);
  /// Whether that is faster than multiplying directly: with many channels.
  [[nodiscard]] static bool pays(const Windows& windows);

  void prepare(int threads);
  /// Takes the weight over, grid_channels × kernel·kernel·channels values, for gather() or for
  /// scatter().
  void pack_gather(const float* weight);
  void pack_scatter(const float* weight);

  /// As Convolution's, of `count` whole images.
  template <typename O>
  void gather(const T* images, int64_t count, O* grid, int thread);
  void scatter(const T* grid, int64_t count, float* images, int thread);
  [[nodiscard]] int64_t sums_size() const;
  void add_weight_gradient(const T* grid, const T* images, int64_t count, float* sums, bool fresh,
                           int thread);
  void store_weight_gradient(const float* sums, int64_t parts, int64_t begin, int64_t end,
                             float* gradient) const;

 private:
  using Item = typename Factor<T>::Item;
  static constexpr int kSums = 4;  ///< of two cells, in one direction

  /// In one direction: a combination of two pixels, times one of taps, is added to one of the sums.
  /// Pixels count from the beginning of the first cell's window.
  struct Term {
    int sum = 0;
    int64_t first = 0;
    int64_t second = 0;  ///< is added with `sign`
    float sign = 0;
    int64_t phase = 0;            ///< the first tap; the others follow a stride apart
    std::array<float, 3> taps{};  ///< what they are multiplied by
  };

  struct Scratch {
    ScratchBuffer<float> lines;       // combinations of lines
    ScratchBuffer<T> pixels;          // combinations of pixels
    ScratchBuffer<T> cells;           // combinations of cells
    ScratchBuffer<float> sums;        // of a block's tiles, or combinations of pixels
    ScratchBuffer<Item> pixel_items;  // of two tiles each, where products take pairs
    ScratchBuffer<Item> cell_items;
    ScratchBuffer<T> zeros;
  };

  static std::vector<Term> make_terms(const Windows& windows);
  [[nodiscard]] int64_t tiles_down() const { return ceil_div(windows_.grid_h, 2); }
  [[nodiscard]] int64_t tiles_across() const { return ceil_div(windows_.grid_w, 2); }
  [[nodiscard]] int64_t count_of(int sum) const;
  /// Values that one of the 16 sums takes from a tile, and where the combinations of `tiles` tiles
  /// for it begin.
  [[nodiscard]] int64_t width(int sum) const { return widths_[static_cast<size_t>(sum)]; }
  [[nodiscard]] int64_t offset(int sum, int64_t tiles) const {
    return before_[static_cast<size_t>(sum)] * tiles;
  }
  /// Combinations of a tile.
  [[nodiscard]] int64_t combinations() const;
  /// Calls body(sum, place, down, across) for every combination: `place` among those of its sum.
  template <typename Body>
  void for_each_combination(Body body) const;
  /// Calls body(tap, factor) for the taps that a combination takes, counted line by line.
  template <typename Body>
  void for_each_tap(const Term& down, const Term& across, Body body) const;
  /// Calls body(begin, end) for the rows of tiles of `count` images in blocks.
  template <typename Body>
  void for_each_block(int64_t count, Body body) const;

  Scratch& scratch(int thread) { return scratch_[static_cast<size_t>(thread)]; }
  /// The combined weight for sum `sum`: grid_channels × width(sum).
  std::vector<float> combine_weight(const float* weight, int sum) const;
  /// Calls body(sum, combined weight as T) for all sums, on several threads.
  template <typename Body>
  void for_each_weight(const float* weight, Body body) const;

  /// A row of tiles lies over a strip of an image: where that begins, how long its lines are, and
  /// how far apart the tiles.
  [[nodiscard]] int64_t strip(int64_t row) const;
  [[nodiscard]] int64_t strip_line() const;
  [[nodiscard]] int64_t tile_step() const { return 2 * windows_.stride * windows_.channels; }
  /// Calls body(sum, line, term, place) for the combinations of row `row` of a block of `rows`:
  /// where the combined line begins, what is combined in it, and where the first tile's result is.
  template <typename Body>
  void for_each_combination_of_row(int64_t row, int64_t rows, Body body) const;
  /// Combinations of rows [begin, end) of tiles, counted through the images.
  const T* combine_pixels(const T* images, int64_t begin, int64_t end, Scratch& s) const;
  const T* combine_cells(const T* grid, int64_t begin, int64_t end, Scratch& s) const;
  /// Adds such combinations, in fp32, back onto the pixels.
  void add_pixels(const float* combinations, int64_t begin, int64_t end, float* images,
                  Scratch& s) const;
  template <typename O>
  void store_cells(const float* sums, int64_t begin, int64_t end, O* grid) const;
  /// `count` rows of `width` values as items.
  static const Item* items(const T* rows, int64_t count, int64_t width, Item* to, const T* zeros);

  Windows windows_;
  std::vector<Term> terms_;  ///< by sum
  std::array<int64_t, kSums * kSums> widths_{};
  std::array<int64_t, kSums * kSums> before_{};  ///< values of a tile for the sums in front
  std::array<Panels<T>, kSums * kSums> gathering_, scattering_;
  std::vector<Scratch> scratch_;
};

}  // namespace flexae
