#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "core/base/math.h"
#include "core/cpu/conv_geometry.h"
#include "core/cpu/kernels/kernels.h"
#include "core/tensor/scratch_buffer.h"

namespace flexae {

/// What Winograd's minimal filtering (see winograd_2d.h) adds up before and after it multiplies:
/// which combinations of pixels, of taps and of cells make the 16 sums of a tile of 2×2 cells, and
/// where in memory those of many tiles lie: sum after sum, and in each tile after tile. Rows of
/// tiles are counted through the images.
class WinogradTiles {
 public:
  static constexpr int kSums = 4;  ///< of two cells, in one direction
  static constexpr int kAllSums = kSums * kSums;

  /// In one direction: a combination of two pixels, times one of taps, is added to one of the sums.
  /// Pixels count from the beginning of the first cell's window.
  struct Term {
    int sum = 0;
    int64_t first = 0;
    int64_t second = 0;  ///< is added with `sign`
    float sign = 0;
    int64_t tap = 0;              ///< the first tap; the others follow a stride apart
    std::array<float, 3> taps{};  ///< what they are multiplied by
  };

  WinogradTiles() = default;
  /// Gives the image the border that its last tiles touch, and the grid none.
  explicit WinogradTiles(ConvGeometry& geometry);

  /// By sum.
  static std::vector<Term> make_terms(const ConvGeometry& geometry);

  [[nodiscard]] const ConvGeometry& geometry() const { return geometry_; }
  [[nodiscard]] int64_t down() const { return ceil_div(geometry_.grid_h, 2); }
  [[nodiscard]] int64_t across() const { return ceil_div(geometry_.grid_w, 2); }
  /// Combinations of a tile, in values.
  [[nodiscard]] int64_t combinations() const;
  /// Values between cells, in combinations of cells and in sums: their channels in whole registers,
  /// zero behind the last one.
  [[nodiscard]] int64_t cell_width() const {
    return round_up(geometry_.grid_channels, kernels().lanes);
  }
  /// Values that one of the 16 sums takes from a tile, and where the combinations of `tiles` tiles
  /// for it begin.
  [[nodiscard]] int64_t width(int sum) const { return widths_[static_cast<size_t>(sum)]; }
  [[nodiscard]] int64_t offset(int sum, int64_t tiles) const {
    return before_[static_cast<size_t>(sum)] * tiles;
  }

  /// Calls body(sum, place, down, across) for every combination: `place` among those of its sum.
  template <typename Body>
  void for_each_combination(Body body) const {
    std::array<int64_t, kAllSums> places{};
    for (const Term& down : terms_) {
      for (const Term& across : terms_) {
        const int sum = down.sum * kSums + across.sum;
        body(sum, places[static_cast<size_t>(sum)]++, down, across);
      }
    }
  }
  /// Calls body(tap, factor) for the taps that a combination takes, counted line by line.
  template <typename Body>
  void for_each_tap(const Term& down, const Term& across, Body body) const {
    for (size_t y = 0; y < down.taps.size(); ++y) {
      for (size_t x = 0; x < across.taps.size(); ++x) {
        const float factor = down.taps[y] * across.taps[x];
        if (factor == 0) continue;
        const int64_t tap_y = down.tap + static_cast<int64_t>(y) * geometry_.stride;
        const int64_t tap_x = across.tap + static_cast<int64_t>(x) * geometry_.stride;
        body(tap_y * geometry_.kernel + tap_x, factor);
      }
    }
  }
  /// Calls body(begin, end) for the rows of tiles of `count` images in blocks.
  template <typename Body>
  void for_each_block(int64_t count, Body body) const {
    // Their combinations and sums stay in a second-level cache, with the weight; of large windows
    // they do not, but fewer tiles than these would read the weight too often. Nor does the weight
    // of many channels, and then the more tiles read it at once the better.
    constexpr int64_t kValues = int64_t{640} << 10;
    constexpr int64_t kLargeWeight = int64_t{1536} << 10;
    const bool is_large = combinations() * geometry_.grid_channels > kLargeWeight;
    const int64_t tiles = is_large ? 96 : std::clamp<int64_t>(kValues / combinations(), 24, 48);
    const int64_t step = std::max<int64_t>(tiles / across(), 1);
    const int64_t rows = count * down();
    for (int64_t begin = 0; begin < rows; begin += step) body(begin, std::min(begin + step, rows));
  }

  /// What one thread needs for a block. T: what pixels and cells are stored as.
  template <typename T>
  struct Memory {
    ScratchBuffer<float> lines;  // combinations of lines
    ScratchBuffer<T> pixels;     // combinations of pixels
    ScratchBuffer<T> cells;      // combinations of cells
    ScratchBuffer<T> zeros;
  };
  /// Combinations of rows [begin, end) of tiles.
  template <typename T>
  const T* combine_pixels(const T* images, int64_t begin, int64_t end, Memory<T>& memory) const;
  template <typename T>
  const T* combine_cells(const T* grid, int64_t begin, int64_t end, Memory<T>& memory) const;
  /// Adds combinations of pixels, in fp32, back onto the pixels.
  void add_pixels(const float* combinations, int64_t begin, int64_t end, float* images,
                  ScratchBuffer<float>& lines) const;
  /// The cells that sums make, narrowed if O is bf16.
  template <typename O>
  void store_cells(const float* sums, int64_t begin, int64_t end, O* grid) const;

 private:
  [[nodiscard]] int64_t count_of(int sum) const;
  /// A row of tiles lies over a strip of an image: where that begins, how long its lines are, and
  /// how far apart the tiles.
  [[nodiscard]] int64_t strip(int64_t row) const;
  [[nodiscard]] int64_t strip_line() const;
  [[nodiscard]] int64_t tile_step() const { return 2 * geometry_.stride * geometry_.channels; }
  /// Calls body(sum, line, term, place) for the combinations of row `row` of a block of `rows`:
  /// where the combined line begins, what is combined in it, and where the first tile's result is.
  template <typename Body>
  void for_each_combination_of_row(int64_t row, int64_t rows, Body body) const;

  ConvGeometry geometry_;
  std::vector<Term> terms_;
  std::array<int64_t, kAllSums> widths_{};
  std::array<int64_t, kAllSums> before_{};  ///< values of a tile for the sums in front
};

}  // namespace flexae
