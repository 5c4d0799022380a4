#include "core/cpu/convolution.h"

#include <algorithm>
#include <array>
#include <type_traits>

#include "core/base/aligned_vector.h"
#include "core/base/cpu_info.h"
#include "core/base/math.h"
#include "core/cpu/gemm.h"
#include "core/cpu/kernels/kernels.h"

namespace flexae {
namespace {

/// Cells for which a panel of the weight is read once: their windows stay in the first caches.
constexpr int64_t kBlock = 96;

/// Bytes of unfolded windows that a thread works on at a time: about a second-level cache, so that
/// the product reads what the unfolding has just written.
constexpr int64_t kTileBytes = int64_t{768} << 10;

void multiply(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const Bf16* a,
              int64_t lda, const Bf16* b, int64_t ldb, float beta, float* c, int64_t ldc) {
  gemm_bf16(transpose_a, transpose_b, m, n, k, a, lda, b, ldb, beta, c, ldc);
}

/// Pairs of values for a weight gradient at a time: with what they are made of and the sums, they
/// stay in a second-level cache.
constexpr int64_t kBandItems = int64_t{128} << 10;

}  // namespace

template <typename T>
bool Convolution<T>::multiplies_in_place() {
  if (kernels_of<T>().products.convolve == nullptr) return false;
  // AMX multiplies whole tiles, which the BLAS does.
  return std::is_same_v<T, float> || kernels_are_named() || !cpu_features().amx_bf16;
}

template <typename T>
typename Convolution<T>::Algorithm Convolution<T>::best_algorithm(const ConvGeometry& geometry) {
  if (!multiplies_in_place()) return Algorithm::kUnfolded;
  if (Winograd<T>::is_profitable(geometry)) return Algorithm::kWinograd;
  const bool by_lines = std::is_same_v<T, float> && LineWinograd::is_profitable(geometry);
  return by_lines ? Algorithm::kLines : Algorithm::kInPlace;
}

template <typename T>
Convolution<T>::Convolution(const ConvGeometry& geometry, Algorithm algorithm)
    : algorithm_(algorithm), geometry_(geometry) {
  if (algorithm == Algorithm::kWinograd) {
    winograd_ = Winograd<T>(geometry_);
  } else {
    backward_data_ = BackwardData<T>(geometry_);
    if (algorithm == Algorithm::kLines) lines_ = LineWinograd(geometry_);
  }
}

template <typename T>
void Convolution<T>::prepare(const float* weight, int threads) {
  wide_weight_ = weight;
  if (algorithm_ == Algorithm::kWinograd) return winograd_.prepare(threads);
  if (static_cast<int>(scratch_.size()) < threads) scratch_.resize(static_cast<size_t>(threads));
  if constexpr (std::is_same_v<T, float>) {
    weight_ = weight;
  } else {
    const int64_t count = geometry_.grid_channels * geometry_.size();
    narrow_weight_.resize(static_cast<size_t>(count));
    kernels_of<T>().elementwise.store(weight, narrow_weight_.data(), count);
    weight_ = narrow_weight_.data();
  }
}

template <typename T>
void Convolution<T>::pack(Product product) {
  if (algorithm_ == Algorithm::kUnfolded) return;
  if (algorithm_ == Algorithm::kWinograd) {
    if (product == Product::kBackwardData) {
      winograd_.pack_backward_data(wide_weight_);
    } else {
      winograd_.pack_forward(wide_weight_);
    }
    return;
  }
  if (product == Product::kBackwardData) {
    backward_data_.pack(weight_);
  } else if (algorithm_ == Algorithm::kLines) {
    lines_.pack(wide_weight_);
  } else {
    forward_weight_.reset(geometry_.kernel, geometry_.window_line(), geometry_.grid_channels);
    forward_weight_.set_all(weight_, geometry_.grid_channels);
  }
}

template <typename T>
int64_t Convolution<T>::rounded_channels() const {
  return round_up(geometry_.grid_channels, kernels().lanes);
}

// --- unfolded -------------------------------------------------------------------------------

template <typename T>
template <typename Body>
void Convolution<T>::for_each_tile(int64_t begin, int64_t end, size_t bytes, Body body) const {
  const int64_t window = geometry_.size() * static_cast<int64_t>(bytes);
  const int64_t tile = std::max<int64_t>(kTileBytes / window, 1);
  for (; begin < end; begin += tile) body(begin, std::min(begin + tile, end));
}

template <typename T>
template <typename Body>
void Convolution<T>::for_each_unfolded(const T* images, int64_t begin, int64_t end, int thread,
                                       Body body) {
  for_each_tile(begin, end, sizeof(T), [&](int64_t first, int64_t last) {
    T* rows = scratch(thread).unfolded.get((last - first) * geometry_.size());
    unfold(geometry_, images, first, last, rows);
    body(first, last, static_cast<const T*>(rows));
  });
}

template <typename T>
const T* Convolution<T>::plain_cells(const T* grid, int64_t begin, int64_t end, int thread) {
  const int64_t channels = geometry_.grid_channels;
  T* to = scratch(thread).cells.get((end - begin) * channels);
  const T* const cells = to;
  const Lattice lattice = geometry_.grid();
  while (begin < end) {
    const int64_t row = std::min(lattice.columns - begin % lattice.columns, end - begin) * channels;
    to = std::copy_n(grid + lattice.offset(begin), row, to);
    begin += row / channels;
  }
  return cells;
}

// --- forward --------------------------------------------------------------------------------

template <typename T>
template <typename O>
void Convolution<T>::forward(const T* images, int64_t begin, int64_t end, O* grid, int thread) {
  if (algorithm_ == Algorithm::kInPlace) return forward_in_place(images, begin, end, grid);
  if constexpr (std::is_same_v<T, float>) {
    if (algorithm_ == Algorithm::kLines) {
      return lines_.forward(images, begin, end, grid, scratch(thread).lines);
    }
  }
  if (algorithm_ == Algorithm::kWinograd) {
    const int64_t cells = geometry_.cells();
    winograd_.forward(images + begin / cells * geometry_.numel(), (end - begin) / cells, grid,
                      thread);
    return;
  }
  if constexpr (std::is_same_v<T, Bf16>) {
    const int64_t size = geometry_.size();
    const int64_t channels = geometry_.grid_channels;
    for_each_unfolded(images, begin, end, thread, [&](int64_t first, int64_t last, const T* rows) {
      const int64_t count = last - first;
      O* to = grid + (first - begin) * channels;
      if constexpr (std::is_same_v<O, float>) {
        multiply(false, true, count, channels, size, rows, size, weight_, size, 0.0F, to, channels);
      } else {
        float* wide = scratch(thread).block.get(count * channels);
        multiply(false, true, count, channels, size, rows, size, weight_, size, 0.0F, wide,
                 channels);
        kernels_of<O>().elementwise.store(wide, to, count * channels);
      }
    });
  }
}

template <typename T>
template <typename O>
void Convolution<T>::forward_in_place(const T* images, int64_t begin, int64_t end, O* grid) const {
  std::array<const T*, kBlock> windows;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  std::array<O*, kBlock> out;            // NOLINT(cppcoreguidelines-pro-type-member-init)
  const Lattice lattice = geometry_.windows();
  for (; begin < end; begin += kBlock) {
    const int64_t count = std::min(kBlock, end - begin);
    lattice.for_each(begin, begin + count, [&](int64_t i, int64_t offset) {
      windows[static_cast<size_t>(i)] = images + offset;
      out[static_cast<size_t>(i)] = grid;
      grid += geometry_.grid_channels;
    });
    const auto convolve = [] {
      if constexpr (std::is_same_v<O, T>) {
        return kernels_of<T>().products.convolve;
      } else {
        return kernels_of<T>().products.convolve_wide;
      }
    }();
    convolve(windows.data(), out.data(), count, geometry_.kernel, geometry_.window_line(),
             geometry_.line(), forward_weight_.data(), geometry_.grid_channels);
  }
}

// --- backward_data --------------------------------------------------------------------------

template <typename T>
void Convolution<T>::backward_data(const T* grid, int64_t count, float* images, int thread) {
  if (algorithm_ == Algorithm::kWinograd)
    return winograd_.backward_data(grid, count, images, thread);
  if (algorithm_ != Algorithm::kUnfolded) {
    backward_data_.run(grid, count, images,
                       scratch(thread).block.get(backward_data_.scratch_size()));
    return;
  }
  if constexpr (std::is_same_v<T, Bf16>) {
    const int64_t size = geometry_.size();
    const int64_t channels = geometry_.grid_channels;
    std::fill_n(images, count * geometry_.numel(), 0.0F);
    for_each_tile(0, count * geometry_.cells(), sizeof(float), [&](int64_t first, int64_t last) {
      float* rows = scratch(thread).windows.get((last - first) * size);
      multiply(false, false, last - first, size, channels, plain_cells(grid, first, last, thread),
               channels, weight_, size, 0.0F, rows, size);
      fold_add(geometry_, rows, first, last, images);
    });
  }
}

// --- weight gradient ------------------------------------------------------------------------

template <typename T>
int64_t Convolution<T>::sums_size() const {
  if (algorithm_ == Algorithm::kWinograd) return winograd_.sums_size();
  return geometry_.size() * rounded_channels();
}

template <typename T>
void Convolution<T>::backward_weights(const T* grid, const T* images, int64_t count, float* sums,
                                      bool fresh, int thread) {
  if (algorithm_ == Algorithm::kWinograd) {
    return winograd_.backward_weights(grid, images, count, sums, fresh, thread);
  }
  if (algorithm_ != Algorithm::kUnfolded) {
    return backward_weights_in_place(grid, images, count, sums, fresh, thread);
  }
  if constexpr (std::is_same_v<T, Bf16>) {
    const int64_t size = geometry_.size();
    const int64_t channels = geometry_.grid_channels;
    for_each_unfolded(images, 0, count * geometry_.cells(), thread,
                      [&](int64_t first, int64_t last, const T* rows) {
                        multiply(true, false, size, channels, last - first, rows, size,
                                 plain_cells(grid, first, last, thread), channels,
                                 fresh && first == 0 ? 0.0F : 1.0F, sums, rounded_channels());
                      });
  }
}

template <typename T>
template <typename Body>
void Convolution<T>::for_each_band(int64_t count, Body body) const {
  int64_t rows = geometry_.grid_h;
  int64_t images = count;
  if constexpr (!std::is_same_v<T, Item>) {
    // Pairs are read soon after they have been made.
    const int64_t cells = ceil_div(geometry_.grid_w, Factor<T>::kValues) * rounded_channels();
    const int64_t row = geometry_.stride * geometry_.line() + cells;
    rows = std::clamp<int64_t>(kBandItems / row, 1, geometry_.grid_h);
    images = std::clamp<int64_t>(kBandItems / (row * geometry_.grid_h), 1, count);
  }
  for (int64_t image = 0; image < count; image += images) {
    for (int64_t row = 0; row < geometry_.grid_h; row += rows) {
      body(image,
           Band{row, std::min(rows, geometry_.grid_h - row), std::min(images, count - image)});
    }
  }
}

template <typename T>
const typename Convolution<T>::Item* Convolution<T>::image_items(const T* images, const Band& band,
                                                                 int thread, Lattice& steps) {
  constexpr int64_t kValues = Factor<T>::kValues;
  const ConvGeometry& w = geometry_;
  steps = w.windows();
  steps.rows = band.rows;
  steps.columns = ceil_div(steps.columns, kValues);
  steps.column_step *= kValues;
  steps.start = w.lead * w.channels;
  const T* first = images + (w.lead + band.row * w.stride) * w.line();
  if constexpr (std::is_same_v<T, Item>) {
    return first;
  } else {
    const int64_t lines = (band.rows - 1) * w.stride + w.kernel;
    const int64_t size = (band.images - 1) * w.numel() + lines * w.line();
    Item* pairs = scratch(thread).pairs.get(size);
    kernels().pairs.pair_up(first, first + w.stride * w.channels, pairs, 1, 0, size);
    return pairs;
  }
}

template <typename T>
const typename Convolution<T>::Item* Convolution<T>::grid_items(const T* grid, const Band& band,
                                                                int thread, Lattice& steps) {
  constexpr int64_t kValues = Factor<T>::kValues;
  const int64_t channels = geometry_.grid_channels;
  const int64_t width = rounded_channels();
  Lattice cells = geometry_.grid();
  cells.rows = band.rows;
  cells.start += band.row * cells.row_step;
  if constexpr (std::is_same_v<T, Item>) {
    if (width == channels) {
      steps = cells;
      return grid;
    }
  }
  const int64_t columns = ceil_div(cells.columns, kValues);
  steps = {band.rows, columns, columns * width, width, band.rows * columns * width, 0};
  // What rounds the channels up is zero from the beginning, and nobody writes there.
  Item* items = scratch(thread).items.zeros(band.images * steps.image_step);
  Item* to = items;
  for (int64_t row = 0; row < band.images * band.rows; ++row, to += steps.row_step) {
    const T* cell = grid + cells.offset(row * cells.columns);
    if constexpr (std::is_same_v<T, Item>) {
      for (int64_t x = 0; x < columns; ++x) {
        std::copy_n(cell + x * channels, channels, to + x * width);
      }
    } else {
      pair_cells(cell, cells.columns, channels, to, width, scratch(thread).zeros.zeros(channels));
    }
  }
  return items;
}

template <typename T>
void Convolution<T>::backward_weights_in_place(const T* grid, const T* images, int64_t count,
                                               float* sums, bool fresh, int thread) {
  std::array<const Item*, kBlock> windows;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  std::array<const Item*, kBlock> cells;    // NOLINT(cppcoreguidelines-pro-type-member-init)
  for_each_band(count, [&](int64_t first, const Band& band) {
    Lattice window_steps;
    Lattice cell_steps;
    const Item* image = image_items(images + first * geometry_.numel(), band, thread, window_steps);
    const Item* cell = grid_items(grid + first * geometry_.grid_numel(), band, thread, cell_steps);
    const int64_t end = band.images * window_steps.rows * window_steps.columns;
    for (int64_t begin = 0; begin < end; begin += kBlock) {
      const int64_t last = std::min(begin + kBlock, end);
      window_steps.for_each(begin, last, [&](int64_t i, int64_t offset) {
        windows[static_cast<size_t>(i)] = image + offset;
      });
      cell_steps.for_each(begin, last, [&](int64_t i, int64_t offset) {
        cells[static_cast<size_t>(i)] = cell + offset;
      });
      kernels_of<T>().products.add_weight_gradient(windows.data(), last - begin, geometry_.kernel,
                                                   geometry_.window_line(), geometry_.line(),
                                                   cells.data(), rounded_channels(), sums, fresh);
      fresh = false;
    }
  });
}

template <typename T>
void Convolution<T>::store_weight_gradient(const float* sums, int64_t parts, int64_t begin,
                                           int64_t end, float* gradient) const {
  if (algorithm_ == Algorithm::kWinograd) {
    return winograd_.store_weight_gradient(sums, parts, begin, end, gradient);
  }
  const int64_t size = geometry_.size();
  const int64_t count = end - begin;
  AlignedVector<float> turned(static_cast<size_t>(size * count));
  kernels().sums.add_up(sums + begin, parts, sums_size(), size, rounded_channels(), count,
                        turned.data());
  transpose(turned.data(), count, size, count, gradient, size);
}

template class Convolution<float>;
template class Convolution<Bf16>;
template void Convolution<float>::forward(const float*, int64_t, int64_t, float*, int);
template void Convolution<Bf16>::forward(const Bf16*, int64_t, int64_t, float*, int);
template void Convolution<Bf16>::forward(const Bf16*, int64_t, int64_t, Bf16*, int);

}  // namespace flexae
