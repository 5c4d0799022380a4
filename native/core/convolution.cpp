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

}  // namespace

void Convolution::prepare(const float* weight, Precision precision, int threads) {
  weight_ = weight;
  precision_ = precision;
  if (static_cast<int>(scratch_.size()) < threads) scratch_.resize(static_cast<size_t>(threads));
  if (precision == Precision::kFp32) return;
  const int64_t count = grid_channels_ * windows_.size();
  narrow_weight_.resize(static_cast<size_t>(count));
  kernels().to_bf16(weight, narrow_weight_.data(), count);
}

void Convolution::prepare_gather() {
  if (precision_ != Precision::kFp32) return;
  const int64_t lanes = kernels().lanes;
  const int64_t size = windows_.size();
  packed_.assign(static_cast<size_t>(rounded_channels() * size), 0.0F);
  float* panel = packed_.data();
  for (int64_t first = 0; first < grid_channels_;) {
    const int64_t left = grid_channels_ - first;
    const int64_t width = left > lanes ? 2 * lanes : lanes;
    const int64_t used = std::min(left, width);
    for (int64_t c = 0; c < used; ++c) {
      const float* from = weight_ + (first + c) * size;
      for (int64_t i = 0; i < size; ++i) panel[i * width + c] = from[i];
    }
    panel += size * width;
    first += used;
  }
}

int64_t Convolution::rounded_channels() const {
  const int64_t lanes = kernels().lanes;
  return (grid_channels_ + lanes - 1) / lanes * lanes;
}

template <typename Body>
void Convolution::for_each_tile(int64_t begin, int64_t end, int thread, Body body) {
  const int64_t bytes = windows_.size() * int64_t{sizeof(float)};
  const int64_t tile = std::clamp<int64_t>(kTileBytes / bytes, 1, end - begin);
  float* rows = scratch_[static_cast<size_t>(thread)].windows.get(tile * windows_.size());
  for (int64_t first = begin; first < end; first += tile) {
    body(first, std::min(first + tile, end), rows);
  }
}

void Convolution::gather(const float* images, int64_t begin, int64_t end, float* grid, int thread) {
  if (precision_ == Precision::kFp32) {
    gather_in_place(images, begin, end, grid);
    return;
  }
  for_each_tile(begin, end, thread, [&](int64_t first, int64_t last, float* rows) {
    const int64_t cells = last - first;
    unfold(windows_, images, first, last, rows);
    multiply(thread, false, true, cells, grid_channels_, windows_.size(),
             windows_factor(rows, cells), weight_factor(), 0.0F,
             grid + (first - begin) * grid_channels_, grid_channels_);
  });
}

/// Calls body(begin, count, windows) for blocks of the cells [begin, end): where their windows
/// begin.
template <typename Body>
void Convolution::for_each_block(const float* images, int64_t begin, int64_t end, Body body) const {
  std::array<const float*, kBlock> block;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  for (; begin < end; begin += kBlock) {
    const int64_t count = std::min(kBlock, end - begin);
    windows_.for_each_cell(begin, begin + count, [&](int64_t i, int64_t offset) {
      block[static_cast<size_t>(i)] = images + offset;
    });
    body(begin, count, block.data());
  }
}

void Convolution::gather_in_place(const float* images, int64_t begin, int64_t end,
                                  float* grid) const {
  for_each_block(
      images, begin, end, [&](int64_t first, int64_t count, const float* const* windows) {
        kernels().convolve(windows, count, windows_.kernel, windows_.window_line(), windows_.line(),
                           packed_.data(), grid_channels_, grid + (first - begin) * grid_channels_);
      });
}

void Convolution::scatter(const float* grid, int64_t count, float* images, int thread) {
  std::fill_n(images, count * windows_.numel(), 0.0F);
  for_each_tile(0, count * windows_.cells(), thread, [&](int64_t first, int64_t last, float* rows) {
    const int64_t cells = last - first;
    multiply(thread, false, false, cells, windows_.size(), grid_channels_,
             grid_factor(grid + first * grid_channels_, cells), weight_factor(), 0.0F, rows,
             windows_.size());
    fold_add(windows_, rows, first, last, images);
  });
}

int64_t Convolution::sums_size() const {
  return windows_.size() * rounded_channels();
}

void Convolution::add_weight_gradient(const float* grid, const float* images, int64_t count,
                                      float* sums, int thread) {
  if (precision_ == Precision::kFp32) {
    add_weight_gradient_in_place(grid, images, count, sums, thread);
    return;
  }
  for_each_tile(0, count * windows_.cells(), thread, [&](int64_t first, int64_t last, float* rows) {
    const int64_t cells = last - first;
    unfold(windows_, images, first, last, rows);
    multiply(thread, true, false, windows_.size(), grid_channels_, cells,
             windows_factor(rows, cells), grid_factor(grid + first * grid_channels_, cells), 1.0F,
             sums, rounded_channels());
  });
}

void Convolution::add_weight_gradient_in_place(const float* grid, const float* images,
                                               int64_t count, float* sums, int thread) {
  const int64_t stride = rounded_channels();
  for_each_block(
      images, 0, count * windows_.cells(),
      [&](int64_t first, int64_t cells, const float* const* windows) {
        const float* block = grid + first * grid_channels_;
        if (stride != grid_channels_) {
          float* rounded = scratch_[static_cast<size_t>(thread)].grid.zeros(kBlock * stride);
          for (int64_t i = 0; i < cells; ++i) {
            std::copy_n(block + i * grid_channels_, grid_channels_, rounded + i * stride);
          }
          block = rounded;
        }
        kernels().add_weight_gradient(windows, cells, windows_.kernel, windows_.window_line(),
                                      windows_.line(), block, stride, stride, sums);
      });
}

void Convolution::store_weight_gradient(const float* sums, float* gradient) const {
  const int64_t size = windows_.size();
  const int64_t stride = rounded_channels();
  for (int64_t g = 0; g < grid_channels_; ++g) {
    for (int64_t i = 0; i < size; ++i) gradient[g * size + i] = sums[i * stride + g];
  }
}

Convolution::Factor Convolution::weight_factor() const {
  const uint16_t* bf16 = precision_ == Precision::kBf16 ? narrow_weight_.data() : nullptr;
  return {weight_, windows_.size(), grid_channels_ * windows_.size(), bf16};
}

Convolution::Factor Convolution::windows_factor(const float* rows, int64_t cells) const {
  return {rows, windows_.size(), cells * windows_.size()};
}

Convolution::Factor Convolution::grid_factor(const float* grid, int64_t cells) const {
  return {grid, grid_channels_, cells * grid_channels_};
}

/// C (m×n) = op(A)·op(B) + beta·C, in the layer's precision.
void Convolution::multiply(int thread, bool transpose_a, bool transpose_b, int64_t m, int64_t n,
                           int64_t k, const Factor& a, const Factor& b, float beta, float* c,
                           int64_t ldc) {
  if (precision_ == Precision::kFp32) {
    gemm(transpose_a, transpose_b, m, n, k, a.data, a.ld, b.data, b.ld, beta, c, ldc);
    return;
  }
  const auto narrow = [](const Factor& factor, std::vector<uint16_t>& buffer) {
    if (factor.bf16 != nullptr) return factor.bf16;
    const auto count = static_cast<size_t>(factor.count);
    if (buffer.size() < count) buffer.resize(count);
    kernels().to_bf16(factor.data, buffer.data(), factor.count);
    return const_cast<const uint16_t*>(buffer.data());
  };
  Scratch& scratch = scratch_[static_cast<size_t>(thread)];
  gemm_bf16(transpose_a, transpose_b, m, n, k, narrow(a, scratch.narrow_a), a.ld,
            narrow(b, scratch.narrow_b), b.ld, beta, c, ldc);
}

}  // namespace flexae
