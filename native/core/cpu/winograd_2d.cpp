#include "core/cpu/winograd_2d.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <type_traits>

#include "core/base/math.h"
#include "core/cpu/kernels/kernels.h"

namespace flexae {
namespace {

/// Tiles at a time: their combinations and sums stay in a second-level cache, with the weight.
constexpr int64_t kTiles = 48;

constexpr int kAllSums = 16;

/// rows (count × line) · panels: count × channels. One row after the other, on both sides.
template <typename T>
void multiply(const T* rows, int64_t count, int64_t line, const Panels<T>& panels, float* out,
              int64_t channels) {
  constexpr int64_t kBlock = 96;
  std::array<const T*, kBlock> cells;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  std::array<float*, kBlock> results;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t now = std::min(kBlock, count - begin);
    for (int64_t i = 0; i < now; ++i) {
      cells[static_cast<size_t>(i)] = rows + (begin + i) * line;
      results[static_cast<size_t>(i)] = out + (begin + i) * channels;
    }
    kernels_of<T>().products.convolve_wide(cells.data(), results.data(), now, 1, line, 0,
                                           panels.data(), channels);
  }
}

}  // namespace

/// Of two cells a stride apart, y₀ and y₁, in one direction: y₀ = s₀ + s₁ + s₂ and
/// y₁ = s₁ − s₂ − s₃.
template <typename T>
std::vector<typename Winograd<T>::Term> Winograd<T>::make_terms(const Windows& windows) {
  const int64_t s = windows.stride;
  std::vector<Term> terms;
  for (int64_t p = 0; p < std::min(s, windows.kernel); ++p) {
    switch (ceil_div(windows.kernel - p, s)) {
      case 1:
        terms.push_back({0, p, p, 0, p, {1}});
        terms.push_back({3, p + s, p + s, 0, p, {-1}});
        break;
      case 2:
        terms.push_back({0, p, p + s, -1, p, {1}});
        terms.push_back({1, p + s, p + s, 0, p, {1, 1}});
        terms.push_back({3, p + s, p + 2 * s, -1, p, {0, 1}});
        break;
      case 3:
        terms.push_back({0, p, p + 2 * s, -1, p, {1}});
        terms.push_back({1, p + s, p + 2 * s, 1, p, {0.5F, 0.5F, 0.5F}});
        terms.push_back({2, p + 2 * s, p + s, -1, p, {0.5F, -0.5F, 0.5F}});
        terms.push_back({3, p + s, p + 3 * s, -1, p, {0, 0, 1}});
        break;
      default:
        return {};
    }
  }
  std::stable_sort(terms.begin(), terms.end(),
                   [](const Term& a, const Term& b) { return a.sum < b.sum; });
  return terms;
}

template <typename T>
bool Winograd<T>::supports(const Windows& windows) {
  const int64_t lanes = kernels().lanes;
  return kernels_of<T>().products.convolve != nullptr && windows.channels % lanes == 0 &&
         windows.grid_channels % lanes == 0 && !make_terms(windows).empty();
}

template <typename T>
bool Winograd<T>::pays(const Windows& windows) {
  if (!supports(windows)) return false;
  const int64_t lanes = kernels().lanes;
  const int64_t channels = windows.channels;
  const int64_t grid_channels = windows.grid_channels;
  const auto terms = static_cast<int64_t>(make_terms(windows).size());
  const int64_t tiles = ceil_div(windows.grid_h, 2) * ceil_div(windows.grid_w, 2);
  // In registers: a combination takes about six instructions, and so does a sum.
  const int64_t product = channels * grid_channels / (lanes * Factor<T>::kValues);
  const int64_t direct = windows.cells() * windows.kernel * windows.kernel * product;
  const int64_t minimal =
      tiles *
      (terms * terms * product + 6 * (terms * terms * channels + kAllSums * grid_channels) / lanes);
  return minimal * 10 < direct * 7;
}

template <typename T>
Winograd<T>::Winograd(Windows& windows) : terms_(make_terms(windows)) {
  const auto size = [&](int64_t tiles) {
    return windows.lead + (2 * tiles - 1) * windows.stride + windows.kernel;
  };
  windows.grid_border = 0;
  windows.bordered_w = windows.grid_w;
  windows_ = windows;
  windows.image_h = std::max(windows.image_h, size(tiles_down()));
  windows.image_w = std::max(windows.image_w, size(tiles_across()));
  windows_ = windows;
  int64_t before = 0;
  for (int sum = 0; sum < kAllSums; ++sum) {
    const auto at = static_cast<size_t>(sum);
    widths_[at] = count_of(sum / kSums) * count_of(sum % kSums) * windows_.channels;
    before_[at] = before;
    before += widths_[at];
  }
}

template <typename T>
void Winograd<T>::prepare(int threads) {
  if (static_cast<int>(scratch_.size()) < threads) scratch_.resize(static_cast<size_t>(threads));
}

// --- where things are -----------------------------------------------------------------------

template <typename T>
int64_t Winograd<T>::count_of(int sum) const {
  return std::count_if(terms_.begin(), terms_.end(), [sum](const Term& t) { return t.sum == sum; });
}

template <typename T>
int64_t Winograd<T>::combinations() const {
  return static_cast<int64_t>(terms_.size() * terms_.size()) * windows_.channels;
}

template <typename T>
template <typename Body>
void Winograd<T>::for_each_combination(Body body) const {
  std::array<int64_t, kAllSums> places{};
  for (const Term& down : terms_) {
    for (const Term& across : terms_) {
      const int sum = down.sum * kSums + across.sum;
      body(sum, places[static_cast<size_t>(sum)]++, down, across);
    }
  }
}

template <typename T>
template <typename Body>
void Winograd<T>::for_each_tap(const Term& down, const Term& across, Body body) const {
  for (size_t y = 0; y < down.taps.size(); ++y) {
    for (size_t x = 0; x < across.taps.size(); ++x) {
      const float factor = down.taps[y] * across.taps[x];
      if (factor == 0) continue;
      const int64_t tap_y = down.phase + static_cast<int64_t>(y) * windows_.stride;
      const int64_t tap_x = across.phase + static_cast<int64_t>(x) * windows_.stride;
      body(tap_y * windows_.kernel + tap_x, factor);
    }
  }
}

template <typename T>
template <typename Body>
void Winograd<T>::for_each_block(int64_t count, Body body) const {
  const int64_t step = std::max<int64_t>(kTiles / tiles_across(), 1);
  const int64_t rows = count * tiles_down();
  for (int64_t begin = 0; begin < rows; begin += step) body(begin, std::min(begin + step, rows));
}

// --- weights --------------------------------------------------------------------------------

template <typename T>
std::vector<float> Winograd<T>::combine_weight(const float* weight, int sum) const {
  const Windows& w = windows_;
  const int64_t row = width(sum);
  std::vector<float> combined(static_cast<size_t>(w.grid_channels * row), 0.0F);
  for_each_combination([&](int of, int64_t place, const Term& down, const Term& across) {
    if (of != sum) return;
    for_each_tap(down, across, [&](int64_t tap, float factor) {
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
    std::vector<T> narrow;
    for (int64_t i = begin; i < end; ++i) {
      const int sum = static_cast<int>(i);
      const std::vector<float> combined = combine_weight(weight, sum);
      narrow.resize(combined.size());
      kernels_of<T>().elementwise.store(combined.data(), narrow.data(),
                                        static_cast<int64_t>(combined.size()));
      body(sum, narrow.data());
    }
  });
}

template <typename T>
void Winograd<T>::pack_gather(const float* weight) {
  for_each_weight(weight, [&](int sum, const T* combined) {
    Panels<T>& panels = gathering_[static_cast<size_t>(sum)];
    panels.reset(1, width(sum), windows_.grid_channels);
    panels.set_all(combined, windows_.grid_channels);
  });
}

template <typename T>
void Winograd<T>::pack_scatter(const float* weight) {
  for_each_weight(weight, [&](int sum, const T* combined) {
    Panels<T>& panels = scattering_[static_cast<size_t>(sum)];
    panels.reset(1, windows_.grid_channels, width(sum));
    for (int64_t g = 0; g < windows_.grid_channels; ++g) {
      panels.set(0, g, 0, combined + g * width(sum), width(sum));
    }
  });
}

// --- combinations ---------------------------------------------------------------------------

template <typename T>
int64_t Winograd<T>::strip(int64_t row) const {
  return row / tiles_down() * windows_.numel() +
         (windows_.lead + row % tiles_down() * 2 * windows_.stride) * windows_.line() +
         windows_.lead * windows_.channels;
}

template <typename T>
int64_t Winograd<T>::strip_line() const {
  return (tiles_across() - 1) * tile_step() +
         (windows_.stride + windows_.kernel) * windows_.channels;
}

template <typename T>
template <typename Body>
void Winograd<T>::for_each_combination_of_row(int64_t row, int64_t rows, Body body) const {
  const int64_t across = tiles_across();
  const Term* const first = terms_.data();
  for_each_combination([&](int sum, int64_t place, const Term& down, const Term& term) {
    body(sum, (&down - first) * strip_line(), term,
         offset(sum, rows * across) + row * across * width(sum) + place * windows_.channels);
  });
}

template <typename T>
const T* Winograd<T>::combine_pixels(const T* images, int64_t begin, int64_t end,
                                     Scratch& s) const {
  const Windows& w = windows_;
  const int64_t channels = w.channels;
  const int64_t line = strip_line();
  T* out = s.pixels.get((end - begin) * tiles_across() * combinations());
  float* lines = s.lines.get(static_cast<int64_t>(terms_.size()) * line);
  for (int64_t row = begin; row < end; ++row) {
    const T* image = images + strip(row);
    float* to = lines;
    for (const Term& term : terms_) {
      kernels_of<T>().winograd_2d.combine_wide(image + term.first * w.line(),
                                               image + term.second * w.line(), term.sign, to, 1, 0,
                                               0, line);
      to += line;
    }
    for_each_combination_of_row(
        row - begin, end - begin,
        [&](int sum, int64_t combined_line, const Term& term, int64_t place) {
          const float* from = lines + combined_line;
          kernels_of<T>().winograd_2d.combine(from + term.first * channels,
                                              from + term.second * channels, term.sign, out + place,
                                              tiles_across(), tile_step(), width(sum), channels);
        });
  }
  return out;
}

template <typename T>
void Winograd<T>::add_pixels(const float* combinations, int64_t begin, int64_t end, float* images,
                             Scratch& s) const {
  const Windows& w = windows_;
  const int64_t channels = w.channels;
  const int64_t line = strip_line();
  float* lines = s.lines.get(static_cast<int64_t>(terms_.size()) * line);
  for (int64_t row = begin; row < end; ++row) {
    std::fill_n(lines, static_cast<int64_t>(terms_.size()) * line, 0.0F);
    for_each_combination_of_row(
        row - begin, end - begin,
        [&](int sum, int64_t combined_line, const Term& term, int64_t place) {
          float* to = lines + combined_line;
          kernels_of<T>().winograd_2d.add_apart(combinations + place, to + term.first * channels,
                                                to + term.second * channels, term.sign,
                                                tiles_across(), width(sum), tile_step(), channels);
        });
    float* image = images + strip(row);
    const float* from = lines;
    for (const Term& term : terms_) {
      kernels_of<T>().winograd_2d.add_apart(from, image + term.first * w.line(),
                                            image + term.second * w.line(), term.sign, 1, 0, 0,
                                            line);
      from += line;
    }
  }
}

template <typename T>
const T* Winograd<T>::combine_cells(const T* grid, int64_t begin, int64_t end, Scratch& s) const {
  const Windows& w = windows_;
  const int64_t across = tiles_across();
  const int64_t channels = w.grid_channels;
  const int64_t apart = (end - begin) * across * channels;
  T* const out = s.cells.get(kAllSums * apart);
  const T* zeros = s.zeros.zeros(channels);
  T* to = out;
  for (int64_t row = begin; row < end; ++row) {
    const int64_t y = row % tiles_down() * 2;
    const T* line = grid + row / tiles_down() * w.grid_numel() + w.grid_start() + y * w.grid_line();
    const bool below = y + 1 < w.grid_h;
    for (int64_t x = 0; x < across; ++x, to += channels) {
      const T* cell = line + 2 * x * channels;
      const bool beside = 2 * x + 1 < w.grid_w;
      const std::array cells{cell, beside ? cell + channels : zeros,
                             below ? cell + w.grid_line() : zeros,
                             below && beside ? cell + w.grid_line() + channels : zeros};
      kernels_of<T>().winograd_2d.cells_to_sums(cells.data(), to, apart, channels);
    }
  }
  return out;
}

template <typename T>
template <typename O>
void Winograd<T>::store_cells(const float* sums, int64_t begin, int64_t end, O* grid) const {
  const Windows& w = windows_;
  const int64_t across = tiles_across();
  const int64_t channels = w.grid_channels;
  const int64_t apart = (end - begin) * across * channels;
  for (int64_t row = begin; row < end; ++row) {
    const int64_t y = row % tiles_down() * 2;
    O* line = grid + (row / tiles_down() * w.cells() + y * w.grid_w) * channels;
    const bool below = y + 1 < w.grid_h;
    for (int64_t x = 0; x < across; ++x, sums += channels) {
      O* cell = line + 2 * x * channels;
      const bool beside = 2 * x + 1 < w.grid_w;
      const std::array<O*, 4> cells{cell, beside ? cell + channels : nullptr,
                                    below ? cell + w.grid_w * channels : nullptr,
                                    below && beside ? cell + (w.grid_w + 1) * channels : nullptr};
      if constexpr (std::is_same_v<O, T>) {
        kernels_of<T>().winograd_2d.sums_to_cells(sums, apart, cells.data(), channels);
      } else {
        kernels_of<T>().winograd_2d.sums_to_cells_wide(sums, apart, cells.data(), channels);
      }
    }
  }
}

// --- products -------------------------------------------------------------------------------

template <typename T>
template <typename O>
void Winograd<T>::gather(const T* images, int64_t count, O* grid, int thread) {
  Scratch& s = scratch(thread);
  for_each_block(count, [&](int64_t begin, int64_t end) {
    const int64_t tiles = (end - begin) * tiles_across();
    const T* pixels = combine_pixels(images, begin, end, s);
    float* sums = s.sums.get(kAllSums * tiles * windows_.grid_channels);
    for (int sum = 0; sum < kAllSums; ++sum) {
      multiply(pixels + offset(sum, tiles), tiles, width(sum), gathering_[static_cast<size_t>(sum)],
               sums + sum * tiles * windows_.grid_channels, windows_.grid_channels);
    }
    store_cells(sums, begin, end, grid);
  });
}

template <typename T>
void Winograd<T>::scatter(const T* grid, int64_t count, float* images, int thread) {
  Scratch& s = scratch(thread);
  std::fill_n(images, count * windows_.numel(), 0.0F);
  for_each_block(count, [&](int64_t begin, int64_t end) {
    const int64_t tiles = (end - begin) * tiles_across();
    const T* cells = combine_cells(grid, begin, end, s);
    float* pixels = s.sums.get(tiles * combinations());
    for (int sum = 0; sum < kAllSums; ++sum) {
      multiply(cells + sum * tiles * windows_.grid_channels, tiles, windows_.grid_channels,
               scattering_[static_cast<size_t>(sum)], pixels + offset(sum, tiles), width(sum));
    }
    add_pixels(pixels, begin, end, images, s);
  });
}

template <typename T>
int64_t Winograd<T>::sums_size() const {
  return combinations() * windows_.grid_channels;
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
void Winograd<T>::add_weight_gradient(const T* grid, const T* images, int64_t count, float* sums,
                                      bool fresh, int thread) {
  constexpr int64_t kValues = Factor<T>::kValues;
  Scratch& s = scratch(thread);
  const int64_t channels = windows_.grid_channels;
  std::vector<const Item*> pixel_rows;
  std::vector<const Item*> cell_rows;
  for_each_block(count, [&](int64_t begin, int64_t end) {
    const int64_t tiles = (end - begin) * tiles_across();
    const int64_t steps = ceil_div(tiles, kValues);
    const T* pixels = combine_pixels(images, begin, end, s);
    const T* cells = combine_cells(grid, begin, end, s);
    pixel_rows.resize(static_cast<size_t>(steps));
    cell_rows.resize(static_cast<size_t>(steps));
    for (int sum = 0; sum < kAllSums; ++sum) {
      const int64_t row = width(sum);
      const T* zeros = s.zeros.zeros(std::max(row, channels));
      const Item* pixel_items =
          items(pixels + offset(sum, tiles), tiles, row, s.pixel_items.get(steps * row), zeros);
      const Item* cell_items = items(cells + sum * tiles * channels, tiles, channels,
                                     s.cell_items.get(steps * channels), zeros);
      for (int64_t i = 0; i < steps; ++i) {
        pixel_rows[static_cast<size_t>(i)] = pixel_items + i * row;
        cell_rows[static_cast<size_t>(i)] = cell_items + i * channels;
      }
      kernels_of<T>().products.add_weight_gradient(
          pixel_rows.data(), steps, 1, row, 0, cell_rows.data(), channels,
          sums + offset(sum, 1) * channels, fresh && begin == 0);
    }
  });
}

template <typename T>
void Winograd<T>::store_weight_gradient(const float* sums, int64_t parts, int64_t begin,
                                        int64_t end, float* gradient) const {
  const Windows& w = windows_;
  const int64_t columns = end - begin;
  const int64_t count = w.channels * columns;
  // By taps and channels of the image, as the sums are.
  std::vector<float> turned(static_cast<size_t>(w.size() * columns), 0.0F);
  std::vector<float> combined(static_cast<size_t>(count));
  for_each_combination([&](int sum, int64_t place, const Term& down, const Term& across) {
    kernels().sums.add_up(sums + (offset(sum, 1) + place * w.channels) * w.grid_channels + begin,
                          parts, sums_size(), w.channels, w.grid_channels, columns,
                          combined.data());
    for_each_tap(down, across, [&](int64_t tap, float factor) {
      kernels().sums.add_scaled(turned.data() + tap * count, combined.data(), factor, count);
    });
  });
  transpose(turned.data(), columns, w.size(), columns, gradient, w.size());
}

template class Winograd<float>;
template class Winograd<Bf16>;
template void Winograd<float>::gather(const float*, int64_t, float*, int);
template void Winograd<Bf16>::gather(const Bf16*, int64_t, float*, int);
template void Winograd<Bf16>::gather(const Bf16*, int64_t, Bf16*, int);

}  // namespace flexae
