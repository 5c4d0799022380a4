#pragma once

#include <cstdint>

namespace flexae {

/// How the cells of a grid lie over an image H×W×C that has its border with it: cell (i, j) sees
/// the k×k window that begins at row and column lead + i·stride, lead + j·stride, and no window
/// leaves the image. For a convolution the grid is its output, for a transposed convolution its
/// input. Images, and the grids that belong to them, lie one after another; cells are counted
/// through them.
struct Windows {
  int64_t grid_h = 0;
  int64_t grid_w = 0;
  int64_t image_h = 0;
  int64_t image_w = 0;
  int64_t channels = 0;
  int64_t kernel = 0;
  int64_t stride = 1;
  int64_t lead = 0;

  [[nodiscard]] int64_t cells() const { return grid_h * grid_w; }
  /// Values of one window, of one of its lines, of a line of the image, of the image.
  [[nodiscard]] int64_t size() const { return kernel * kernel * channels; }
  [[nodiscard]] int64_t window_line() const { return kernel * channels; }
  [[nodiscard]] int64_t line() const { return image_w * channels; }
  [[nodiscard]] int64_t numel() const { return image_h * line(); }

  /// Calls body(i, offset) for the cells begin + i < end: where the window of each begins.
  template <typename Body>
  void for_each_cell(int64_t begin, int64_t end, Body body) const {
    int64_t y = begin % cells() / grid_w;
    int64_t x = begin % grid_w;
    int64_t row = begin / cells() * numel() + (lead + y * stride) * line() + lead * channels;
    for (int64_t i = 0; i < end - begin; ++i) {
      body(i, row + x * stride * channels);
      if (++x < grid_w) continue;
      x = 0;
      row += stride * line();
      if (++y < grid_h) continue;
      y = 0;
      row += numel() - grid_h * stride * line();
    }
  }
};

/// Copies the windows of cells [begin, end) out of the images, into rows of size() values
/// ("im2col").
void unfold(const Windows& w, const float* images, int64_t begin, int64_t end, float* rows);

/// Adds such rows back onto the images ("col2im").
void fold_add(const Windows& w, const float* rows, int64_t begin, int64_t end, float* images);

}  // namespace flexae
