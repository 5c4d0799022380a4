#pragma once

#include <cstdint>

namespace flexae {

/// How the cells of a grid lie over an image: cell (i, j) sees the k×k window that begins at row
/// i·stride − top, column j·stride − left. For a convolution the grid is its output, for a
/// transposed convolution its input.
struct Windows {
  int64_t grid_h = 0;
  int64_t grid_w = 0;
  int64_t image_h = 0;
  int64_t image_w = 0;
  int64_t channels = 0;
  int64_t kernel = 0;
  int64_t stride = 1;
  int64_t top = 0;
  int64_t left = 0;
  /// Values of one window.
  [[nodiscard]] int64_t size() const { return kernel * kernel * channels; }
};

/// Copies the windows of grid rows [begin, end) out of an image H×W×C into rows of
/// kernel·kernel·channels values; zeros where a window leaves the image ("im2col").
void unfold(const Windows& w, const float* image, int64_t begin, int64_t end, float* rows);

/// Adds such rows back onto the image ("col2im"); what leaves the image is dropped.
void fold_add(const Windows& w, const float* rows, int64_t begin, int64_t end, float* image);

}  // namespace flexae
