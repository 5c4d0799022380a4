#pragma once

#include <cstdint>

#include "core/cpu/kernels/kernels.h"

namespace flexae {

/// Places in images that lie one after another: rows × columns in each, at equal distances. All in
/// values.
struct Lattice {
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t row_step = 0;
  int64_t column_step = 0;
  int64_t image_step = 0;
  int64_t start = 0;  ///< where the first place is

  [[nodiscard]] int64_t offset(int64_t place) const {
    return place / (rows * columns) * image_step + place / columns % rows * row_step +
           place % columns * column_step + start;
  }

  /// Calls body(i, offset) for the places begin + i < end, counted through the images.
  template <typename Body>
  void for_each(int64_t begin, int64_t end, Body body) const {
    int64_t image = begin / (rows * columns);
    int64_t y = begin / columns % rows;
    int64_t x = begin % columns;
    int64_t row = image * image_step + y * row_step + start;
    for (int64_t i = 0; i < end - begin; ++i) {
      body(i, row + x * column_step);
      if (++x < columns) continue;
      x = 0;
      row += row_step;
      if (++y < rows) continue;
      y = 0;
      row = ++image * image_step + start;
    }
  }
};

/// How the cells of a grid lie over an image: cell (i, j) sees the k×k window that begins at row
/// and column lead + i·stride, lead + j·stride, and no window leaves the image. For a convolution
/// the grid is its output, for a transposed convolution its input. Both are H×W×C and have borders
/// of zeros with them.
struct ConvGeometry {
  int64_t grid_h = 0;
  int64_t grid_w = 0;
  int64_t grid_channels = 0;
  int64_t image_h = 0;  ///< with its border
  int64_t image_w = 0;
  int64_t channels = 0;
  int64_t kernel = 0;
  int64_t stride = 1;
  int64_t lead = 0;
  int64_t grid_border = 0;  ///< cells before the first, in rows and columns, and at least behind
  int64_t bordered_w = 0;   ///< cells in a row of the grid with its border

  [[nodiscard]] int64_t cells() const { return grid_h * grid_w; }
  /// Values of one window, of one of its lines, of a line of the image, of the image.
  [[nodiscard]] int64_t size() const { return kernel * kernel * channels; }
  [[nodiscard]] int64_t window_line() const { return kernel * channels; }
  [[nodiscard]] int64_t line() const { return image_w * channels; }
  [[nodiscard]] int64_t numel() const { return image_h * line(); }
  /// Values behind the last image or grid that a product may read, without using them.
  [[nodiscard]] int64_t slack() const { return 2 * stride * channels + 16 * grid_channels + 64; }
  /// Values of a line of the grid with its border, of that grid, and where its first cell is.
  [[nodiscard]] int64_t grid_line() const { return bordered_w * grid_channels; }
  [[nodiscard]] int64_t grid_numel() const { return (grid_h + 2 * grid_border) * grid_line(); }
  [[nodiscard]] int64_t grid_start() const { return grid_border * (grid_line() + grid_channels); }

  /// Where the cells' windows begin.
  [[nodiscard]] Lattice windows() const {
    return {
        grid_h, grid_w, stride * line(), stride * channels, numel(), lead * (line() + channels)};
  }
  /// Where the cells are.
  [[nodiscard]] Lattice grid() const {
    return {grid_h, grid_w, grid_line(), grid_channels, grid_numel(), grid_start()};
  }
};

/// Copies the windows of cells [begin, end) out of the images into rows of size() values
/// ("im2col").
void unfold(const ConvGeometry& w, const Bf16* images, int64_t begin, int64_t end, Bf16* rows);

/// Adds such rows, in fp32, back onto the images ("col2im").
void fold_add(const ConvGeometry& w, const float* rows, int64_t begin, int64_t end, float* images);

}  // namespace flexae
