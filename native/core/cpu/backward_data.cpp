#include "core/cpu/backward_data.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <array>

#include "core/base/math.h"
#include "core/cpu/kernels/kernels.h"

namespace flexae {
namespace {

/// Blocks of the image that are computed at a time: their cells stay in the first caches.
constexpr int64_t kPixels = 96;

}  // namespace

template <typename T>
BackwardData<T>::BackwardData(ConvGeometry& geometry) : geometry_(geometry) {
  std::vector<Plan> plans{by_taps()};
  for (const int64_t width : {1, 2, 4}) {
    for (const bool whole : {false, true}) plans.push_back(by_blocks(width, whole));
  }
  plans.push_back(plans.front());
  plans.back().dots = true;
  plan_ = *std::min_element(plans.begin(), plans.end(),
                            [this](const Plan& a, const Plan& b) { return cost(a) < cost(b); });
  const int64_t border = taps(0) - 1;
  const int64_t across = blocks_across(plan_.width) * plan_.width;
  geometry.grid_border = border;
  geometry.bordered_w = border + across;
  geometry.image_h =
      std::max(geometry.image_h, geometry.lead + geometry.stride * (geometry.grid_h + border));
  geometry.image_w = std::max(geometry.image_w, geometry.lead + geometry.stride * across);
  geometry_ = geometry;
}

/// ConvGeometry over a pixel that lies `phase` pixels behind the beginning of one, in one
/// direction.
template <typename T>
int64_t BackwardData<T>::taps(int64_t phase) const {
  return ceil_div(std::max<int64_t>(geometry_.kernel - phase, 0), geometry_.stride);
}

/// Pixels under the same number of taps together: no multiplication is in vain.
template <typename T>
typename BackwardData<T>::Plan BackwardData<T>::by_taps() const {
  Plan plan;
  const int64_t stride = geometry_.stride;
  for (int64_t row = 0; row < stride; ++row) {
    for (int64_t column = 0; column < stride;) {
      int64_t end = column + 1;
      while (end < stride && taps(end) == taps(column)) ++end;
      const int64_t cells = taps(column);
      if (taps(row) > 0 && cells > 0) {
        plan.parts.push_back({row, column, 1, end - column, taps(row), cells, cells - 1, {}, {}});
      }
      column = end;
    }
  }
  return plan;
}

/// Whole rows of a block together, or the whole block: some multiplications by zero, but full
/// registers where the image has few channels.
template <typename T>
typename BackwardData<T>::Plan BackwardData<T>::by_blocks(int64_t width, bool whole) const {
  Plan plan;
  plan.width = width;
  const int64_t rows = whole ? geometry_.stride : 1;
  for (int64_t row = 0; row < geometry_.stride; row += rows) {
    if (taps(row) == 0) continue;
    plan.parts.push_back({row,
                          0,
                          rows,
                          width * geometry_.stride,
                          taps(row),
                          taps(0) - 1 + width,
                          taps(0) - 1,
                          {},
                          {}});
  }
  return plan;
}

template <typename T>
int64_t BackwardData<T>::blocks_across(int64_t width) const {
  return ceil_div(geometry_.grid_w + taps(0) - 1, width);
}

/// Multiplications of whole registers by cells.
template <typename T>
double BackwardData<T>::cost(const Plan& plan) const {
  double sum = 0;
  for (const Part& part : plan.parts) {
    const auto values = static_cast<double>(part.rows * part.columns * geometry_.channels);
    const int64_t places =
        (geometry_.grid_h + part.lines - 1) * ceil_div(geometry_.grid_w + part.before, plan.width);
    double work = 0;
    if (plan.dots) {
      const int64_t registers =
          part.lines * filter_width(part) / (Factor<T>::kValues * kernels().lanes);
      // Adding up what is in one register takes as long as three multiplications.
      work = values * static_cast<double>((registers + 3) * Factor<T>::kValues) /
             static_cast<double>(geometry_.grid_channels);
    } else {
      const int64_t registers = ceil_div(static_cast<int64_t>(values), kernels().lanes);
      // A single one takes a quarter longer: fewer multiplications for each value read.
      work = static_cast<double>(part.lines * part.cells) *
             (static_cast<double>(registers) + 0.25 * static_cast<double>(registers % 2));
    }
    sum += static_cast<double>(places) * work;
  }
  return sum;
}

template <typename T>
void BackwardData<T>::pack(const T* weight) {
  const ConvGeometry& w = geometry_;
  for (Part& part : plan_.parts) {
    if (plan_.dots) {
      pack_filters(weight, part);
    } else {
      part.packed.reset(part.lines, part.cells * w.grid_channels,
                        part.rows * part.columns * w.channels);
    }
  }
  if (plan_.dots) return;
  // On several threads if the caller runs alone.
  constexpr int64_t kValuesAThread = 1 << 13;
  at::parallel_for(0, w.grid_channels, ceil_div(kValuesAThread, w.size()),
                   [&](int64_t begin, int64_t end) {
                     for (Part& part : plan_.parts) pack(weight, begin, end, part);
                   });
}

template <typename T>
int64_t BackwardData<T>::filter_width(const Part& part) const {
  const int64_t step = Factor<T>::kValues * kernels().lanes;
  return round_up(part.cells * geometry_.grid_channels, step);
}

/// As ProductKernels::dots takes it, for each of the part's values.
template <typename T>
void BackwardData<T>::pack_filters(const T* weight, Part& part) const {
  const ConvGeometry& w = geometry_;
  const int64_t width = filter_width(part);
  part.filters.assign(static_cast<size_t>(part.columns * w.channels * part.lines * width), T{});
  T* filter = part.filters.data();
  for (int64_t column = 0; column < part.columns; ++column) {
    for (int64_t channel = 0; channel < w.channels; ++channel) {
      for (int64_t line = 0; line < part.lines; ++line, filter += width) {
        const int64_t y = part.row + w.stride * (part.lines - 1 - line);
        for (int64_t cell = 0; cell < part.cells; ++cell) {
          const int64_t x = part.column + column + w.stride * (part.before - cell);
          if (y >= w.kernel || x >= w.kernel) continue;
          for (int64_t g = 0; g < w.grid_channels; ++g) {
            filter[cell * w.grid_channels + g] =
                weight[((g * w.kernel + y) * w.kernel + x) * w.channels + channel];
          }
        }
      }
    }
  }
}

/// As a convolution of the cells with the part's pixels for channels: what grid channels
/// [begin, end) take part in.
template <typename T>
void BackwardData<T>::pack(const T* weight, int64_t begin, int64_t end, Part& part) const {
  const ConvGeometry& w = geometry_;
  for (int64_t line = 0; line < part.lines; ++line) {
    for (int64_t row = 0; row < part.rows; ++row) {
      const int64_t y = part.row + row + w.stride * (part.lines - 1 - line);
      if (y >= w.kernel) continue;
      for (int64_t cell = 0; cell < part.cells; ++cell) {
        // Pixel `column` of the part sees column `column + shift` of this cell's window.
        const int64_t shift = part.column + w.stride * (part.before - cell);
        const int64_t first = std::max<int64_t>(-shift, 0);
        const int64_t last = std::min(part.columns, w.kernel - shift);
        if (last <= first) continue;
        for (int64_t g = begin; g < end; ++g) {
          const T* from = weight + ((g * w.kernel + y) * w.kernel + first + shift) * w.channels;
          part.packed.set(line, cell * w.grid_channels + g,
                          (row * part.columns + first) * w.channels, from,
                          (last - first) * w.channels);
        }
      }
    }
  }
}

template <typename T>
int64_t BackwardData<T>::scratch_size() const {
  int64_t values = 0;
  for (const Part& part : plan_.parts) {
    if (part.rows > 1) values = std::max(values, part.rows * part.columns * geometry_.channels);
  }
  return kPixels * values;
}

template <typename T>
void BackwardData<T>::run(const T* grid, int64_t count, float* images, float* scratch) const {
  const int64_t rows = count * (geometry_.grid_h + geometry_.grid_border);
  const int64_t step = std::max<int64_t>(kPixels / blocks_across(plan_.width), 1);
  for (int64_t begin = 0; begin < rows; begin += step) {
    for (const Part& part : plan_.parts) {
      run(part, grid, begin, std::min(begin + step, rows), images, scratch);
    }
  }
}

/// One part of rows [begin, end) of blocks, counted through the images.
template <typename T>
void BackwardData<T>::run(const Part& part, const T* grid, int64_t begin, int64_t end,
                          float* images, float* scratch) const {
  std::array<const T*, kPixels> cells;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  std::array<float*, kPixels> pixels;   // NOLINT(cppcoreguidelines-pro-type-member-init)
  const ConvGeometry& w = geometry_;
  const int64_t row = part.columns * w.channels;
  const int64_t values = part.rows * row;
  int64_t count = 0;
  const auto compute = [&] {
    if (part.rows == 1) {
      convolve(part, cells.data(), pixels.data(), count);
    } else {
      std::array<float*, kPixels> apart;  // NOLINT(cppcoreguidelines-pro-type-member-init)
      for (int64_t i = 0; i < count; ++i) apart[static_cast<size_t>(i)] = scratch + i * values;
      convolve(part, cells.data(), apart.data(), count);
      for (int64_t i = 0; i < count; ++i) {
        const float* from = scratch + i * values;
        float* to = pixels[static_cast<size_t>(i)];
        for (int64_t y = 0; y < part.rows; ++y, from += row, to += w.line()) {
          for (int64_t v = 0; v < row; ++v) to[v] = from[v];
        }
      }
    }
    count = 0;
  };
  // Behind the last cell, what a part with fewer taps would write is zero already.
  const int64_t rows = w.grid_h + part.lines - 1;
  const int64_t columns = (w.grid_w + part.before + plan_.width - 1) / plan_.width;
  for (int64_t i = begin; i < end; ++i) {
    const int64_t image = i / (w.grid_h + w.grid_border);
    const int64_t y = i % (w.grid_h + w.grid_border);
    if (y >= rows) continue;
    const T* cell = grid + image * w.grid_numel() +
                    (y + w.grid_border - part.lines + 1) * w.grid_line() +
                    (w.grid_border - part.before) * w.grid_channels;
    float* pixel = images + image * w.numel() + (w.lead + y * w.stride + part.row) * w.line() +
                   (w.lead + part.column) * w.channels;
    if (plan_.dots) {
      const int64_t width = filter_width(part);
      for (int64_t value = 0; value < row; ++value) {
        kernels_of<T>().products.dots(
            cell, w.grid_channels, columns, part.lines, width, w.grid_line(),
            part.filters.data() + value * part.lines * width, pixel + value, w.stride * w.channels);
      }
      continue;
    }
    for (int64_t x = 0; x < columns; ++x) {
      cells[static_cast<size_t>(count)] = cell;
      pixels[static_cast<size_t>(count)] = pixel;
      cell += plan_.width * w.grid_channels;
      pixel += plan_.width * w.stride * w.channels;
      if (++count == kPixels) compute();
    }
  }
  if (count > 0) compute();
}

template <typename T>
void BackwardData<T>::convolve(const Part& part, const T* const* cells, float* const* out,
                               int64_t count) const {
  kernels_of<T>().products.convolve_wide(
      cells, out, count, part.lines, part.cells * geometry_.grid_channels, geometry_.grid_line(),
      part.packed.data(), part.rows * part.columns * geometry_.channels);
}

template class BackwardData<float>;
template class BackwardData<Bf16>;

}  // namespace flexae
