#include "core/unfold.h"

#include <algorithm>
#include <cstring>

#include "core/kernels/kernels.h"

namespace flexae {
namespace {

/// Calls `inside(image_offset, row_offset, count)` for each stretch of a cell's window that lies in
/// the image, and `outside(row_offset, count)` for the rest; in values.
template <typename Inside, typename Outside>
void for_each_stretch(const Windows& w, int64_t i, int64_t j, Inside inside, Outside outside) {
  const int64_t line = w.kernel * w.channels;
  const int64_t x0 = j * w.stride - w.left;
  const int64_t first = std::clamp<int64_t>(-x0, 0, w.kernel);
  const int64_t last = std::clamp<int64_t>(w.image_w - x0, first, w.kernel);
  for (int64_t ky = 0; ky < w.kernel; ++ky) {
    const int64_t y = i * w.stride - w.top + ky;
    const int64_t row = ky * line;
    if (y < 0 || y >= w.image_h || first == last) {
      outside(row, line);
      continue;
    }
    if (first > 0) outside(row, first * w.channels);
    inside((y * w.image_w + x0 + first) * w.channels, row + first * w.channels,
           (last - first) * w.channels);
    if (last < w.kernel) outside(row + last * w.channels, (w.kernel - last) * w.channels);
  }
}

// A call costs more than these few values.
constexpr int64_t kShort = 16;

}  // namespace

void unfold(const Windows& w, const float* image, int64_t begin, int64_t end, float* rows) {
  for (int64_t i = begin; i < end; ++i) {
    for (int64_t j = 0; j < w.grid_w; ++j, rows += w.size()) {
      for_each_stretch(
          w, i, j,
          [&](int64_t from, int64_t to, int64_t count) {
            if (count > kShort) {
              std::memcpy(rows + to, image + from, static_cast<size_t>(count) * sizeof(float));
              return;
            }
            for (int64_t v = 0; v < count; ++v) rows[to + v] = image[from + v];
          },
          [&](int64_t to, int64_t count) { std::fill_n(rows + to, count, 0.0F); });
    }
  }
}

void fold_add(const Windows& w, const float* rows, int64_t begin, int64_t end, float* image) {
  const auto add = kernels().add;
  for (int64_t i = begin; i < end; ++i) {
    for (int64_t j = 0; j < w.grid_w; ++j, rows += w.size()) {
      for_each_stretch(
          w, i, j,
          [&](int64_t to, int64_t from, int64_t count) {
            if (count > kShort) {
              add(image + to, rows + from, count);
              return;
            }
            for (int64_t v = 0; v < count; ++v) image[to + v] += rows[from + v];
          },
          [](int64_t, int64_t) {});
    }
  }
}

}  // namespace flexae
