#include "core/convolution.h"

#include <algorithm>
#include <array>

#include "core/kernels/kernels.h"

namespace flexae {
namespace {

/// Cells for which a panel of the weight is read once: their windows stay in the first caches.
constexpr int64_t kBlock = 96;

}  // namespace

Convolution::Convolution(const Windows& windows, int64_t out_channels)
    : windows_(windows),
      out_channels_(out_channels),
      padded_h_(std::max(windows.top + windows.image_h,
                         (windows.grid_h - 1) * windows.stride + windows.kernel)),
      padded_w_(std::max(windows.left + windows.image_w,
                         (windows.grid_w - 1) * windows.stride + windows.kernel)) {}

void Convolution::pack(const float* weight) {
  const int64_t lanes = kernels().lanes;
  const int64_t size = windows_.size();
  const int64_t rounded = (out_channels_ + lanes - 1) / lanes * lanes;
  packed_.assign(static_cast<size_t>(rounded * size), 0.0F);
  float* panel = packed_.data();
  for (int64_t first = 0; first < out_channels_;) {
    const int64_t left = out_channels_ - first;
    const int64_t width = left > lanes ? 2 * lanes : lanes;
    const int64_t used = std::min(left, width);
    for (int64_t c = 0; c < used; ++c) {
      const float* from = weight + (first + c) * size;
      for (int64_t i = 0; i < size; ++i) panel[i * width + c] = from[i];
    }
    panel += size * width;
    first += used;
  }
}

void Convolution::run(const float* padded, int64_t begin, int64_t end, float* out) const {
  const int64_t line = padded_w_ * windows_.channels;
  const int64_t right = windows_.stride * windows_.channels;
  const int64_t cells = windows_.grid_h * windows_.grid_w;
  std::array<const float*, kBlock> block;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  while (begin < end) {
    const int64_t count = std::min(kBlock, end - begin);
    int64_t image = begin / cells;
    int64_t y = begin % cells / windows_.grid_w;
    int64_t x = begin % windows_.grid_w;
    const float* row = padded + image * padded_size() + y * windows_.stride * line;
    for (int64_t i = 0; i < count; ++i) {
      block[static_cast<size_t>(i)] = row + x * right;
      if (++x < windows_.grid_w) continue;
      x = 0;
      if (++y == windows_.grid_h) {
        y = 0;
        ++image;
      }
      row = padded + image * padded_size() + y * windows_.stride * line;
    }
    kernels().convolve(block.data(), count, windows_.kernel, windows_.kernel * windows_.channels,
                       line, packed_.data(), out_channels_, out);
    out += count * out_channels_;
    begin += count;
  }
}

}  // namespace flexae
