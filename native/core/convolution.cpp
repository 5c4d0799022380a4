#include "core/convolution.h"

#include <algorithm>
#include <array>

#include "core/gemm.h"
#include "core/kernels/kernels.h"

namespace flexae {
namespace {

/// Cells for which a panel of the weight is read once: their windows stay in the first caches.
constexpr int64_t kBlock = 96;

/// Bytes of unfolded windows that a thread works on at a time: about a second-level cache, so that
/// the product reads what the unfolding has just written.
constexpr int64_t kTileBytes = int64_t{768} << 10;

/// to[j·to_stride + i] = from[i·from_stride + j], a square of one cache line's width at a time.
void transpose(const float* from, int64_t from_stride, int64_t rows, int64_t columns, float* to,
               int64_t to_stride) {
  constexpr int64_t side = 16;
  for (int64_t y = 0; y < rows; y += side) {
    for (int64_t x = 0; x < columns; x += side) {
      for (int64_t j = x; j < std::min(x + side, columns); ++j) {
        for (int64_t i = y; i < std::min(y + side, rows); ++i) {
          to[j * to_stride + i] = from[i * from_stride + j];
        }
      }
    }
  }
}

void grow(std::vector<uint16_t>& buffer, int64_t count) {
  if (buffer.size() < static_cast<size_t>(count)) buffer.resize(static_cast<size_t>(count));
}

}  // namespace

void Convolution::prepare(const float* weight, Precision precision, int threads) {
  weight_ = weight;
  precision_ = precision;
  if (static_cast<int>(scratch_.size()) < threads) scratch_.resize(static_cast<size_t>(threads));
  if (precision == Precision::kFp32) return;
  const int64_t count = windows_.grid_channels * windows_.size();
  narrow_weight_.resize(static_cast<size_t>(count));
  kernels().to_bf16(weight, narrow_weight_.data(), count);
}

void Convolution::pack(Product product) {
  if (precision_ != Precision::kFp32) return;
  if (product == Product::kScatter) {
    scatter_.pack(weight_);
  } else {
    pack_for_gather();
  }
}

void Convolution::pack_for_gather() {
  const int64_t lanes = kernels().lanes;
  const int64_t size = windows_.size();
  packed_.assign(static_cast<size_t>(rounded_channels() * size), 0.0F);
  float* panel = packed_.data();
  for (int64_t first = 0; first < windows_.grid_channels;) {
    const int64_t left = windows_.grid_channels - first;
    const int64_t width = left > lanes ? 2 * lanes : lanes;
    const int64_t used = std::min(left, width);
    transpose(weight_ + first * size, size, used, size, panel, width);
    panel += size * width;
    first += used;
  }
}

int64_t Convolution::rounded_channels() const {
  const int64_t lanes = kernels().lanes;
  return (windows_.grid_channels + lanes - 1) / lanes * lanes;
}

// --- bf16 -----------------------------------------------------------------------------------

template <typename Body>
void Convolution::for_each_tile(int64_t begin, int64_t end, size_t bytes, Body body) const {
  const int64_t window = windows_.size() * static_cast<int64_t>(bytes);
  const int64_t tile = std::max<int64_t>(kTileBytes / window, 1);
  for (; begin < end; begin += tile) body(begin, std::min(begin + tile, end));
}

template <typename Body>
void Convolution::for_each_unfolded(const float* images, int64_t begin, int64_t end, int thread,
                                    Body body) {
  // Narrowed before they are unfolded: a pixel lies in several windows.
  const int64_t skipped = begin / windows_.cells();
  const int64_t last_image = (end - 1) / windows_.cells();
  const uint16_t* narrow =
      narrow_images(images + skipped * windows_.numel(), last_image - skipped + 1, thread);
  const int64_t offset = skipped * windows_.cells();
  for_each_tile(begin, end, sizeof(uint16_t), [&](int64_t first, int64_t last) {
    std::vector<uint16_t>& rows = scratch(thread).unfolded;
    grow(rows, (last - first) * windows_.size());
    unfold(windows_, narrow, first - offset, last - offset, rows.data());
    body(first, last, static_cast<const uint16_t*>(rows.data()));
  });
}

/// Cells [begin, end) without the border.
const uint16_t* Convolution::narrow_cells(const float* grid, int64_t begin, int64_t end,
                                          int thread) {
  std::vector<uint16_t>& buffer = scratch(thread).cells;
  const int64_t channels = windows_.grid_channels;
  grow(buffer, (end - begin) * channels);
  const Lattice lattice = windows_.grid();
  uint16_t* to = buffer.data();
  while (begin < end) {
    const int64_t row = std::min(lattice.columns - begin % lattice.columns, end - begin) * channels;
    kernels().to_bf16(grid + lattice.offset(begin), to, row);
    to += row;
    begin += row / channels;
  }
  return buffer.data();
}

const uint16_t* Convolution::narrow_images(const float* images, int64_t count, int thread) {
  std::vector<uint16_t>& buffer = scratch(thread).images;
  grow(buffer, count * windows_.numel());
  kernels().to_bf16(images, buffer.data(), count * windows_.numel());
  return buffer.data();
}

// --- gather ---------------------------------------------------------------------------------

void Convolution::gather(const float* images, int64_t begin, int64_t end, float* grid, int thread) {
  if (precision_ == Precision::kFp32) {
    gather_in_place(images, begin, end, grid);
    return;
  }
  const int64_t size = windows_.size();
  const int64_t channels = windows_.grid_channels;
  for_each_unfolded(
      images, begin, end, thread, [&](int64_t first, int64_t last, const uint16_t* rows) {
        gemm_bf16(false, true, last - first, channels, size, rows, size, narrow_weight_.data(),
                  size, 0.0F, grid + (first - begin) * channels, channels);
      });
}

void Convolution::gather_in_place(const float* images, int64_t begin, int64_t end,
                                  float* grid) const {
  std::array<const float*, kBlock> windows;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  std::array<float*, kBlock> out;            // NOLINT(cppcoreguidelines-pro-type-member-init)
  const Lattice lattice = windows_.windows();
  for (; begin < end; begin += kBlock) {
    const int64_t count = std::min(kBlock, end - begin);
    lattice.for_each(begin, begin + count, [&](int64_t i, int64_t offset) {
      windows[static_cast<size_t>(i)] = images + offset;
      out[static_cast<size_t>(i)] = grid;
      grid += windows_.grid_channels;
    });
    kernels().convolve(windows.data(), out.data(), count, windows_.kernel, windows_.window_line(),
                       windows_.line(), packed_.data(), windows_.grid_channels);
  }
}

// --- scatter --------------------------------------------------------------------------------

void Convolution::scatter(const float* grid, int64_t count, float* images, int thread) {
  if (precision_ == Precision::kFp32) {
    scatter_.run(grid, count, images, scratch(thread).block.get(scatter_.scratch_size()));
    return;
  }
  const int64_t size = windows_.size();
  const int64_t channels = windows_.grid_channels;
  std::fill_n(images, count * windows_.numel(), 0.0F);
  for_each_tile(0, count * windows_.cells(), sizeof(float), [&](int64_t first, int64_t last) {
    float* rows = scratch(thread).windows.get((last - first) * size);
    gemm_bf16(false, false, last - first, size, channels, narrow_cells(grid, first, last, thread),
              channels, narrow_weight_.data(), size, 0.0F, rows, size);
    fold_add(windows_, rows, first, last, images);
  });
}

// --- weight gradient ------------------------------------------------------------------------

int64_t Convolution::sums_size() const {
  return windows_.size() * rounded_channels();
}

void Convolution::add_weight_gradient(const float* grid, const float* images, int64_t count,
                                      float* sums, int thread) {
  if (precision_ == Precision::kFp32) {
    add_weight_gradient_in_place(grid, images, count, sums, thread);
    return;
  }
  const int64_t size = windows_.size();
  const int64_t channels = windows_.grid_channels;
  for_each_unfolded(images, 0, count * windows_.cells(), thread,
                    [&](int64_t first, int64_t last, const uint16_t* rows) {
                      gemm_bf16(true, false, size, channels, last - first, rows, size,
                                narrow_cells(grid, first, last, thread), channels, 1.0F, sums,
                                rounded_channels());
                    });
}

void Convolution::add_weight_gradient_in_place(const float* grid, const float* images,
                                               int64_t count, float* sums, int thread) {
  std::array<const float*, kBlock> windows;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  std::array<const float*, kBlock> cells;    // NOLINT(cppcoreguidelines-pro-type-member-init)
  const int64_t channels = windows_.grid_channels;
  const int64_t stride = rounded_channels();
  float* rounded = stride == channels ? nullptr : scratch(thread).block.get(kBlock * stride);
  const int64_t end = count * windows_.cells();
  for (int64_t begin = 0; begin < end; begin += kBlock) {
    const int64_t last = std::min(begin + kBlock, end);
    windows_.windows().for_each(begin, last, [&](int64_t i, int64_t offset) {
      windows[static_cast<size_t>(i)] = images + offset;
    });
    windows_.grid().for_each(begin, last, [&](int64_t i, int64_t offset) {
      const float* cell = grid + offset;
      if (rounded != nullptr) {
        float* to = rounded + i * stride;
        std::fill(std::copy_n(cell, channels, to), to + stride, 0.0F);
        cell = to;
      }
      cells[static_cast<size_t>(i)] = cell;
    });
    kernels().add_weight_gradient(windows.data(), last - begin, windows_.kernel,
                                  windows_.window_line(), windows_.line(), cells.data(), stride,
                                  sums);
  }
}

void Convolution::store_weight_gradient(const float* sums, float* gradient) const {
  transpose(sums, rounded_channels(), windows_.size(), windows_.grid_channels, gradient,
            windows_.size());
}

}  // namespace flexae
