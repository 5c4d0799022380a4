#include "core/cpu/winograd_1d.h"

#include <algorithm>
#include <array>

#include "core/base/math.h"
#include "core/cpu/kernels/kernels.h"

namespace flexae {
namespace {

/// Rows of the grid for which lines are combined at a time.
constexpr int64_t kRows = 8;

/// Tiles at a time.
constexpr int64_t kBlock = 48;

}  // namespace

bool LineWinograd::supports(const ConvGeometry& geometry) {
  const int64_t k = geometry.kernel;
  const int64_t s = geometry.stride;
  return kernels().winograd_1d.convolve_lines != nullptr && k > 2 * s && k <= 3 * s;
}

bool LineWinograd::is_profitable(const ConvGeometry& geometry) {
  const int64_t lanes = kernels().lanes;
  return supports(geometry) && geometry.channels < lanes && geometry.grid_channels >= 2 * lanes;
}

LineWinograd::LineWinograd(const ConvGeometry& geometry) : geometry_(geometry) {
  // With two cells y₀ = s₀ + s₁ + s₂ and y₁ = s₁ − s₂ − s₃ (see winograd_2d.cpp). s₀ and s₃ take
  // the first combination of a line, a stride apart, s₁ the second and s₂ the third.
  const int64_t s = stride();
  const int64_t l = line();
  const std::array<int64_t, kSums> offsets{0, l + s, 2 * l + s, s};
  const std::array<int64_t, kSums> widths{s, s, three_taps(), s};
  std::copy(offsets.begin(), offsets.end(), offsets_);
  std::copy(widths.begin(), widths.end(), widths_);
  has_three_.resize(static_cast<size_t>(l));
  for (int64_t i = 0; i < l; ++i) {
    has_three_[static_cast<size_t>(i)] = i % s < three_taps() ? 1.0F : 0.0F;
  }
}

void LineWinograd::pack(const float* weight) {
  const int64_t s = stride();
  const int64_t window_line = geometry_.window_line();
  const int64_t lines = geometry_.grid_channels * geometry_.kernel;
  std::vector<float> combined;
  combined.reserve(static_cast<size_t>(lines * (3 * s + three_taps())));
  for (const float* w = weight; w < weight + lines * window_line; w += window_line) {
    const auto third = [&](int64_t i) { return i < three_taps() ? w[i + 2 * s] : 0.0F; };
    for (int64_t i = 0; i < s; ++i) combined.push_back(w[i]);
    for (int64_t i = 0; i < s; ++i) {
      const float sum = w[i] + w[i + s] + third(i);
      combined.push_back(i < three_taps() ? 0.5F * sum : sum);
    }
    for (int64_t i = 0; i < three_taps(); ++i) {
      combined.push_back(0.5F * (w[i] - w[i + s] + third(i)));
    }
    // The sign of s₃ is taken in.
    for (int64_t i = 0; i < s; ++i) {
      combined.push_back(-(i < three_taps() ? third(i) : w[i + s]));
    }
  }
  packed_.reset(geometry_.kernel, 3 * s + three_taps(), geometry_.grid_channels);
  packed_.set_all(combined.data(), geometry_.grid_channels);
}

void LineWinograd::forward(const float* images, int64_t begin, int64_t end, float* grid,
                           ScratchBuffer<float>& scratch) const {
  const ConvGeometry& w = geometry_;
  const int64_t lines = (std::min(kRows, w.grid_h) - 1) * w.stride + w.kernel;
  float* combined = scratch.get(lines * 3 * line());
  int64_t row = begin / w.grid_w;
  const int64_t last = end / w.grid_w;
  while (row < last) {
    const int64_t y = row % w.grid_h;
    const int64_t rows = std::min({kRows, w.grid_h - y, last - row});
    forward_rows(images + row / w.grid_h * w.numel(), y, rows, grid, combined);
    grid += rows * w.grid_w * w.grid_channels;
    row += rows;
  }
}

void LineWinograd::forward_rows(const float* image, int64_t row, int64_t rows, float* grid,
                                float* combined) const {
  const ConvGeometry& w = geometry_;
  const float* first = image + (w.lead + row * w.stride) * w.line() + w.lead * w.channels;
  for (int64_t y = 0; y < (rows - 1) * w.stride + w.kernel; ++y) {
    float* to = combined + y * 3 * line();
    kernels().winograd_1d.combine_line(first + y * w.line(), stride(), has_three_.data(), line(),
                                       to, to + line(), to + 2 * line());
  }
  std::array<const float*, kBlock> from;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  std::array<float*, 2 * kBlock> cells;   // NOLINT(cppcoreguidelines-pro-type-member-init)
  size_t count = 0;
  const auto compute = [&] {
    kernels().winograd_1d.convolve_lines(from.data(), cells.data(), static_cast<int64_t>(count),
                                         w.kernel, 3 * line(), offsets_, widths_, packed_.data(),
                                         w.grid_channels);
    count = 0;
  };
  for (int64_t y = 0; y < rows; ++y) {
    for (int64_t tile = 0; tile < tiles(); ++tile) {
      from[count] = combined + y * w.stride * 3 * line() + tile * 2 * stride();
      cells[2 * count] = grid;
      grid += w.grid_channels;
      const bool whole = 2 * tile + 1 < w.grid_w;
      cells[2 * count + 1] = whole ? grid : nullptr;
      if (whole) grid += w.grid_channels;
      if (++count == kBlock) compute();
    }
  }
  if (count > 0) compute();
}

}  // namespace flexae
