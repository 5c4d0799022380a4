#include "core/cpu/winograd_2d.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <type_traits>

#include "core/base/math.h"
#include "core/cpu/kernels/kernels.h"

namespace flexae {
namespace {

constexpr int kAllSums = WinogradTiles::kAllSums;

/// Combinations of a block of tiles, of windows with more than three taps in a phase: with more of
/// them, what is multiplied less is lost to the memory that they come from.
constexpr int64_t kMostCombinations = int64_t{1} << 20;

/// rows (count × line, `step` apart) · panels: count × channels. One row after the other on both
/// sides.
template <typename T>
void multiply(const T* rows, int64_t count, int64_t line, int64_t step,
              const PackedWeight<T>& panels, float* out, int64_t channels) {
  constexpr int64_t kBlock = 96;
  std::array<const T*, kBlock> cells;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  std::array<float*, kBlock> results;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t now = std::min(kBlock, count - begin);
    for (int64_t i = 0; i < now; ++i) {
      cells[static_cast<size_t>(i)] = rows + (begin + i) * step;
      results[static_cast<size_t>(i)] = out + (begin + i) * channels;
    }
    kernels_of<T>().products.convolve_wide(cells.data(), results.data(), now, 1, line, 0,
                                           panels.data(), channels);
  }
}

}  // namespace

template <typename T>
bool Winograd<T>::supports(const ConvGeometry& geometry) {
  const int64_t lanes = kernels().lanes;
  return kernels_of<T>().products.convolve != nullptr && geometry.channels >= lanes &&
         geometry.grid_channels >= lanes;
}

template <typename T>
bool Winograd<T>::is_profitable(const ConvGeometry& geometry) {
  if (!supports(geometry)) return false;
  const int64_t lanes = kernels().lanes;
  const int64_t channels = geometry.channels;
  const int64_t grid_channels = geometry.grid_channels;
  const auto terms = static_cast<int64_t>(WinogradTiles::make_terms(geometry).size());
  const int64_t across = ceil_div(geometry.grid_w, 2);
  if (geometry.kernel > 3 * geometry.stride &&
      std::max<int64_t>(across, 24) * terms * terms * channels > kMostCombinations) {
    return false;
  }
  const int64_t tiles = ceil_div(geometry.grid_h, 2) * across;
  // In registers: a combination takes about six instructions, and so does a sum.
  const int64_t registers = ceil_div(channels, lanes);
  const int64_t grid_registers = ceil_div(grid_channels, lanes);
  const int64_t product = ceil_div(channels * grid_registers, Factor<T>::kValues);
  const int64_t direct = geometry.cells() * geometry.kernel * geometry.kernel * product;
  const int64_t minimal = tiles * (terms * terms * product +
                                   6 * (terms * terms * registers + kAllSums * grid_registers));
  return minimal * 10 < direct * 7;
}

template <typename T>
void Winograd<T>::prepare(int threads) {
  if (static_cast<int>(scratch_.size()) < threads) scratch_.resize(static_cast<size_t>(threads));
}

// --- weights --------------------------------------------------------------------------------

template <typename T>
AlignedVector<float> Winograd<T>::combine_weight(const float* weight, int sum) const {
  const ConvGeometry& w = geometry();
  const int64_t row = tiles_.width(sum);
  AlignedVector<float> combined(static_cast<size_t>(w.grid_channels * row), 0.0F);
  tiles_.for_each_combination([&](int of, int64_t place, const WinogradTiles::Term& down,
                                  const WinogradTiles::Term& across) {
    if (of != sum) return;
    tiles_.for_each_tap(down, across, [&](int64_t tap, float factor) {
      for (int64_t g = 0; g < w.grid_channels; ++g) {
        const float* from = weight + (g * w.kernel * w.kernel + tap) * w.channels;
        float* to = combined.data() + g * row + place * w.channels;
        for (int64_t c = 0; c < w.channels; ++c) to[c] += factor * from[c];
      }
    });
  });
  return combined;
}

template <typename T>
template <typename Body>
void Winograd<T>::for_each_weight(const float* weight, Body body) const {
  at::parallel_for(0, kAllSums, 1, [&](int64_t begin, int64_t end) {
    AlignedVector<T> narrow;
    for (int64_t i = begin; i < end; ++i) {
      const int sum = static_cast<int>(i);
      const AlignedVector<float> combined = combine_weight(weight, sum);
      narrow.resize(combined.size());
      kernels_of<T>().elementwise.store(combined.data(), narrow.data(),
                                        static_cast<int64_t>(combined.size()));
      body(sum, narrow.data());
    }
  });
}

template <typename T>
void Winograd<T>::pack_forward(const float* weight) {
  for_each_weight(weight, [&](int sum, const T* combined) {
    PackedWeight<T>& panels = forward_weight_[static_cast<size_t>(sum)];
    panels.reset(1, tiles_.width(sum), geometry().grid_channels);
    panels.set_all(combined, geometry().grid_channels);
  });
}

template <typename T>
void Winograd<T>::pack_backward_data(const float* weight) {
  for_each_weight(weight, [&](int sum, const T* combined) {
    PackedWeight<T>& panels = backward_data_weight_[static_cast<size_t>(sum)];
    panels.reset(1, geometry().grid_channels, tiles_.width(sum));
    for (int64_t g = 0; g < geometry().grid_channels; ++g) {
      panels.set(0, g, 0, combined + g * tiles_.width(sum), tiles_.width(sum));
    }
  });
}

// --- products -------------------------------------------------------------------------------

template <typename T>
template <typename O>
void Winograd<T>::forward(const T* images, int64_t count, O* grid, int thread) {
  Scratch& s = scratch(thread);
  tiles_.for_each_block(count, [&](int64_t begin, int64_t end) {
    const int64_t tiles = (end - begin) * tiles_.across();
    const T* pixels = tiles_.combine_pixels(images, begin, end, s.tiles);
    const int64_t width = tiles_.cell_width();
    float* sums = s.sums.get(kAllSums * tiles * width);
    for (int sum = 0; sum < kAllSums; ++sum) {
      const int64_t line = tiles_.width(sum);
      multiply(pixels + tiles_.offset(sum, tiles), tiles, line, line,
               forward_weight_[static_cast<size_t>(sum)], sums + sum * tiles * width, width);
    }
    tiles_.store_cells(sums, begin, end, grid);
  });
}

template <typename T>
void Winograd<T>::backward_data(const T* grid, int64_t count, float* images, int thread) {
  Scratch& s = scratch(thread);
  std::fill_n(images, count * geometry().numel(), 0.0F);
  tiles_.for_each_block(count, [&](int64_t begin, int64_t end) {
    const int64_t tiles = (end - begin) * tiles_.across();
    const T* cells = tiles_.combine_cells(grid, begin, end, s.tiles);
    float* pixels = s.sums.get(tiles * tiles_.combinations());
    const int64_t width = tiles_.cell_width();
    for (int sum = 0; sum < kAllSums; ++sum) {
      multiply(cells + sum * tiles * width, tiles, geometry().grid_channels, width,
               backward_data_weight_[static_cast<size_t>(sum)], pixels + tiles_.offset(sum, tiles),
               tiles_.width(sum));
    }
    tiles_.add_pixels(pixels, begin, end, images, s.tiles.lines);
  });
}

template <typename T>
int64_t Winograd<T>::sums_size() const {
  return tiles_.combinations() * tiles_.cell_width();
}

template <typename T>
const typename Winograd<T>::Item* Winograd<T>::items(const T* rows, int64_t count, int64_t width,
                                                     Item* to, const T* zeros) {
  if constexpr (std::is_same_v<T, Item>) {
    return rows;
  } else {
    pair_cells(rows, count, width, to, width, zeros);
    return to;
  }
}

template <typename T>
void Winograd<T>::backward_weights(const T* grid, const T* images, int64_t count, float* sums,
                                   bool fresh, int thread) {
  constexpr int64_t kValues = Factor<T>::kValues;
  Scratch& s = scratch(thread);
  const int64_t channels = tiles_.cell_width();
  std::vector<const Item*> pixel_rows;
  std::vector<const Item*> cell_rows;
  tiles_.for_each_block(count, [&](int64_t begin, int64_t end) {
    const int64_t tiles = (end - begin) * tiles_.across();
    const int64_t steps = ceil_div(tiles, kValues);
    const T* pixels = tiles_.combine_pixels(images, begin, end, s.tiles);
    const T* cells = tiles_.combine_cells(grid, begin, end, s.tiles);
    pixel_rows.resize(static_cast<size_t>(steps));
    cell_rows.resize(static_cast<size_t>(steps));
    for (int sum = 0; sum < kAllSums; ++sum) {
      const int64_t row = tiles_.width(sum);
      const T* zeros = s.zeros.zeros(std::max(row, channels));
      const Item* pixel_items = items(pixels + tiles_.offset(sum, tiles), tiles, row,
                                      s.pixel_items.get(steps * row), zeros);
      const Item* cell_items = items(cells + sum * tiles * channels, tiles, channels,
                                     s.cell_items.get(steps * channels), zeros);
      for (int64_t i = 0; i < steps; ++i) {
        pixel_rows[static_cast<size_t>(i)] = pixel_items + i * row;
        cell_rows[static_cast<size_t>(i)] = cell_items + i * channels;
      }
      kernels_of<T>().products.add_weight_gradient(
          pixel_rows.data(), steps, 1, row, 0, cell_rows.data(), channels,
          sums + tiles_.offset(sum, 1) * channels, fresh && begin == 0);
    }
  });
}

template <typename T>
void Winograd<T>::store_weight_gradient(const float* sums, int64_t parts, int64_t begin,
                                        int64_t end, float* gradient) const {
  const ConvGeometry& w = geometry();
  const int64_t columns = end - begin;
  const int64_t count = w.channels * columns;
  // By taps and channels of the image, as the sums are.
  AlignedVector<float> turned(static_cast<size_t>(w.size() * columns), 0.0F);
  AlignedVector<float> combined(static_cast<size_t>(count));
  tiles_.for_each_combination([&](int sum, int64_t place, const WinogradTiles::Term& down,
                                  const WinogradTiles::Term& across) {
    kernels().sums.add_up(
        sums + (tiles_.offset(sum, 1) + place * w.channels) * tiles_.cell_width() + begin, parts,
        sums_size(), w.channels, tiles_.cell_width(), columns, combined.data());
    tiles_.for_each_tap(down, across, [&](int64_t tap, float factor) {
      kernels().sums.add_scaled(turned.data() + tap * count, combined.data(), factor, count);
    });
  });
  transpose(turned.data(), columns, w.size(), columns, gradient, w.size());
}

template class Winograd<float>;
template class Winograd<Bf16>;
template void Winograd<float>::forward(const float*, int64_t, float*, int);
template void Winograd<Bf16>::forward(const Bf16*, int64_t, float*, int);
template void Winograd<Bf16>::forward(const Bf16*, int64_t, Bf16*, int);

}  // namespace flexae
