#include "core/cpu/winograd_tiles.h"

#include <algorithm>

namespace flexae {

namespace {

/// How many of the taps that are left of a phase are taken together: three where that leaves no
/// single one behind, which would take two products for two cells where 2 + 2 take the same and
/// lose fewer digits.
int64_t taps_together(int64_t left) {
  return left == 4 ? 2 : std::min<int64_t>(left, 3);
}

}  // namespace

/// Of two cells a stride apart, y₀ and y₁, in one direction: y₀ = s₀ + s₁ + s₂ and
/// y₁ = s₁ − s₂ − s₃. The taps of a phase are taken by threes and twos.
std::vector<WinogradTiles::Term> WinogradTiles::make_terms(const ConvGeometry& geometry) {
  const int64_t s = geometry.stride;
  std::vector<Term> terms;
  const auto add = [&](int64_t p, int64_t taps) {
    if (taps == 1) {
      terms.push_back({0, p, p, 0, p, {1}});
      terms.push_back({3, p + s, p + s, 0, p, {-1}});
    } else if (taps == 2) {
      terms.push_back({0, p, p + s, -1, p, {1}});
      terms.push_back({1, p + s, p + s, 0, p, {1, 1}});
      terms.push_back({3, p + s, p + 2 * s, -1, p, {0, 1}});
    } else {
      terms.push_back({0, p, p + 2 * s, -1, p, {1}});
      terms.push_back({1, p + s, p + 2 * s, 1, p, {0.5F, 0.5F, 0.5F}});
      terms.push_back({2, p + 2 * s, p + s, -1, p, {0.5F, -0.5F, 0.5F}});
      terms.push_back({3, p + s, p + 3 * s, -1, p, {0, 0, 1}});
    }
  };
  for (int64_t phase = 0; phase < std::min(s, geometry.kernel); ++phase) {
    for (int64_t tap = phase; tap < geometry.kernel;) {
      const int64_t taps = taps_together(ceil_div(geometry.kernel - tap, s));
      add(tap, taps);
      tap += taps * s;
    }
  }
  std::stable_sort(terms.begin(), terms.end(),
                   [](const Term& a, const Term& b) { return a.sum < b.sum; });
  return terms;
}

WinogradTiles::WinogradTiles(ConvGeometry& geometry) : terms_(make_terms(geometry)) {
  const auto size = [&](int64_t tiles) {
    return geometry.lead + (2 * tiles - 1) * geometry.stride + geometry.kernel;
  };
  geometry.grid_border = 0;
  geometry.bordered_w = geometry.grid_w;
  geometry_ = geometry;
  geometry.image_h = std::max(geometry.image_h, size(down()));
  geometry.image_w = std::max(geometry.image_w, size(across()));
  geometry_ = geometry;
  int64_t before = 0;
  for (int sum = 0; sum < kAllSums; ++sum) {
    const auto at = static_cast<size_t>(sum);
    widths_[at] = count_of(sum / kSums) * count_of(sum % kSums) * geometry_.channels;
    before_[at] = before;
    before += widths_[at];
  }
}

// --- where things are -----------------------------------------------------------------------

int64_t WinogradTiles::count_of(int sum) const {
  return std::count_if(terms_.begin(), terms_.end(), [sum](const Term& t) { return t.sum == sum; });
}

int64_t WinogradTiles::combinations() const {
  return static_cast<int64_t>(terms_.size() * terms_.size()) * geometry_.channels;
}

// --- combinations ---------------------------------------------------------------------------

int64_t WinogradTiles::strip(int64_t row) const {
  return row / down() * geometry_.numel() +
         (geometry_.lead + row % down() * 2 * geometry_.stride) * geometry_.line() +
         geometry_.lead * geometry_.channels;
}

int64_t WinogradTiles::strip_line() const {
  return (across() - 1) * tile_step() + (geometry_.stride + geometry_.kernel) * geometry_.channels;
}

template <typename Body>
void WinogradTiles::for_each_combination_of_row(int64_t row, int64_t rows, Body body) const {
  const int64_t across = this->across();
  const Term* const first = terms_.data();
  for_each_combination([&](int sum, int64_t place, const Term& down, const Term& term) {
    body(sum, (&down - first) * strip_line(), term,
         offset(sum, rows * across) + row * across * width(sum) + place * geometry_.channels);
  });
}

template <typename T>
const T* WinogradTiles::combine_pixels(const T* images, int64_t begin, int64_t end,
                                       Memory<T>& m) const {
  const ConvGeometry& w = geometry_;
  const int64_t channels = w.channels;
  const int64_t line = strip_line();
  const int64_t size = (end - begin) * across() * combinations();
  T* out = m.pixels.get(size + 1);
  // Products of pairs read one value more, times zero.
  out[size] = T{};
  float* lines = m.lines.get(static_cast<int64_t>(terms_.size()) * line);
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
                                              across(), tile_step(), width(sum), channels);
        });
  }
  return out;
}

void WinogradTiles::add_pixels(const float* combinations, int64_t begin, int64_t end, float* images,
                               ScratchBuffer<float>& memory) const {
  const ConvGeometry& w = geometry_;
  const int64_t channels = w.channels;
  const int64_t line = strip_line();
  float* lines = memory.get(static_cast<int64_t>(terms_.size()) * line);
  for (int64_t row = begin; row < end; ++row) {
    std::fill_n(lines, static_cast<int64_t>(terms_.size()) * line, 0.0F);
    for_each_combination_of_row(
        row - begin, end - begin,
        [&](int sum, int64_t combined_line, const Term& term, int64_t place) {
          float* to = lines + combined_line;
          kernels().fp32.winograd_2d.add_apart(combinations + place, to + term.first * channels,
                                               to + term.second * channels, term.sign, across(),
                                               width(sum), tile_step(), channels);
        });
    float* image = images + strip(row);
    const float* from = lines;
    for (const Term& term : terms_) {
      kernels().fp32.winograd_2d.add_apart(from, image + term.first * w.line(),
                                           image + term.second * w.line(), term.sign, 1, 0, 0,
                                           line);
      from += line;
    }
  }
}

template <typename T>
const T* WinogradTiles::combine_cells(const T* grid, int64_t begin, int64_t end,
                                      Memory<T>& m) const {
  const ConvGeometry& w = geometry_;
  const int64_t across = this->across();
  const int64_t channels = w.grid_channels;
  const int64_t width = cell_width();
  const int64_t apart = (end - begin) * across * width;
  // What is behind the channels is zero from the beginning, and nobody writes there.
  T* const out = m.cells.zeros(kAllSums * apart);
  const T* zeros = m.zeros.zeros(channels);
  T* to = out;
  for (int64_t row = begin; row < end; ++row) {
    const int64_t y = row % down() * 2;
    const T* line = grid + row / down() * w.grid_numel() + w.grid_start() + y * w.grid_line();
    const bool below = y + 1 < w.grid_h;
    for (int64_t x = 0; x < across; ++x, to += width) {
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

template <typename O>
void WinogradTiles::store_cells(const float* sums, int64_t begin, int64_t end, O* grid) const {
  const ConvGeometry& w = geometry_;
  const int64_t across = this->across();
  const int64_t channels = w.grid_channels;
  const int64_t width = cell_width();
  const int64_t apart = (end - begin) * across * width;
  for (int64_t row = begin; row < end; ++row) {
    const int64_t y = row % down() * 2;
    O* line = grid + (row / down() * w.cells() + y * w.grid_w) * channels;
    const bool below = y + 1 < w.grid_h;
    for (int64_t x = 0; x < across; ++x, sums += width) {
      O* cell = line + 2 * x * channels;
      const bool beside = 2 * x + 1 < w.grid_w;
      const std::array<O*, 4> cells{cell, beside ? cell + channels : nullptr,
                                    below ? cell + w.grid_w * channels : nullptr,
                                    below && beside ? cell + (w.grid_w + 1) * channels : nullptr};
      kernels_of<O>().winograd_2d.sums_to_cells(sums, apart, cells.data(), channels);
    }
  }
}

template const float* WinogradTiles::combine_pixels(const float*, int64_t, int64_t,
                                                    Memory<float>&) const;
template const Bf16* WinogradTiles::combine_pixels(const Bf16*, int64_t, int64_t,
                                                   Memory<Bf16>&) const;
template const float* WinogradTiles::combine_cells(const float*, int64_t, int64_t,
                                                   Memory<float>&) const;
template const Bf16* WinogradTiles::combine_cells(const Bf16*, int64_t, int64_t,
                                                  Memory<Bf16>&) const;
template void WinogradTiles::store_cells(const float*, int64_t, int64_t, float*) const;
template void WinogradTiles::store_cells(const float*, int64_t, int64_t, Bf16*) const;

}  // namespace flexae
