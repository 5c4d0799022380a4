#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/base/aligned_vector.h"
#include "core/base/math.h"
#include "core/cpu/kernels/kernels.h"

namespace flexae {

/// to[j·to_stride + i] = from[i·from_stride + j], a square of one cache line's width at a time.
template <typename Item>
void transpose(const Item* from, int64_t from_stride, int64_t rows, int64_t columns, Item* to,
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

/// `count` cells of `channels` values, one behind the other, in pairs `width` apart: neighbours'
/// values side by side. An odd last one's partner is `zeros`.
inline void pair_cells(const Bf16* cells, int64_t count, int64_t channels, Bf16Pair* to,
                       int64_t width, const Bf16* zeros) {
  const Bf16* second = cells + channels;
  if (width == channels) {
    kernels().pairs.pair_up(cells, second, to, count / 2, 2 * channels, channels);
  } else {
    for (int64_t i = 0; i < count / 2; ++i) {
      const int64_t from = 2 * i * channels;
      kernels().pairs.pair_up(cells + from, second + from, to + i * width, 1, 0, channels);
    }
  }
  if (count % 2 != 0) {
    kernels().pairs.pair_up(cells + (count - 1) * channels, zeros, to + count / 2 * width, 1, 0,
                            channels);
  }
}

/// A weight in the order in which ProductKernels::convolve reads it.
template <typename T>
class PackedWeight {
 public:
  using Item = typename Factor<T>::Item;
  static constexpr int64_t kValues = Factor<T>::kValues;

  /// Takes as much memory as `channels` channels of lines × line values need, all zero.
  void reset(int64_t lines, int64_t line, int64_t channels) {
    lanes_ = kernels().lanes;
    line_ = line;
    steps_ = ceil_div(line, kValues);
    rows_ = lines * steps_;
    channels_ = channels;
    items_.assign(static_cast<size_t>(round_up(channels, lanes_) * rows_), Item{});
  }

  [[nodiscard]] bool empty() const { return items_.empty(); }
  [[nodiscard]] int64_t channels() const { return channels_; }
  [[nodiscard]] const Item* data() const { return items_.data(); }

  /// The values of the first `channels` channels: `weight` holds channels × lines·line. Several
  /// threads take part if the caller runs alone.
  void set_all(const T* weight, int64_t channels);

  /// Items of channels [first, first + 2·lanes) in step `step`, where panels are full.
  [[nodiscard]] const Item* step(int64_t first, int64_t step) const {
    return items_.data() + first * rows_ + step * width(first);
  }

  /// Value t of line y for `count` channels from `channel` on.
  void set(int64_t y, int64_t t, int64_t channel, const T* from, int64_t count) {
    const int64_t row = y * steps_ + t / kValues;
    while (count > 0) {
      const int64_t first = channel / (2 * lanes_) * (2 * lanes_);
      const int64_t run = std::min(count, first + 2 * lanes_ - channel);
      Item* items = items_.data() + first * rows_ + row * width(first) + (channel - first);
      T* to = reinterpret_cast<T*>(items) + t % kValues;
      for (int64_t i = 0; i < run; ++i) to[i * kValues] = from[i];
      from += run;
      channel += run;
      count -= run;
    }
  }

 private:
  /// Channels of the panel that begins with channel `first`.
  [[nodiscard]] int64_t width(int64_t first) const {
    return channels_ - first > lanes_ ? 2 * lanes_ : lanes_;
  }

  int64_t lanes_ = 0;
  int64_t line_ = 0;
  int64_t steps_ = 0;  ///< of a line
  int64_t rows_ = 0;
  int64_t channels_ = 0;
  AlignedVector<Item> items_;
};

}  // namespace flexae
