#pragma once

// The product ProductKernels::add_weight_gradient.

#include <cstdint>

#include "core/cpu/kernels/loops/multiply.h"
#include "core/cpu/kernels/loops/simd.h"
#include "core/cpu/kernels/products.h"

namespace flexae {
namespace {

/// Window values whose sums the registers hold at once, as kCells above. Thirteen: twice that is a
/// 5×5 window of one channel.
#if defined(__AVX512F__)
constexpr int kWindowValues = 13;
#else
constexpr int kWindowValues = kCells;
#endif

/// kWindowValues window values by kVectors·kLanes channels from `first` on, over `count` cells. The
/// first `values` rows of the sums are stored. kFetching: see
/// ProductKernels::add_weight_gradient_fetching.
template <typename T, int kVectors, bool kFetching = false>
inline void weight_gradient_tile(const typename Factor<T>::Item* const* cells, int64_t count,
                                 const int64_t* offsets,
                                 const typename Factor<T>::Item* const* grid, int64_t first,
                                 int64_t values, float* sums, int64_t sums_stride, bool fresh,
                                 const char* next = nullptr, int64_t next_bytes = 0) {
  using M = Multiplies<T>;
  Lanes tile[kWindowValues][kVectors];
#pragma GCC unroll 13
  for (int r = 0; r < kWindowValues; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) tile[r][v] = Lanes{};
  }
  for (int64_t i = 0; i < count; ++i) {
    typename M::Vector channels[kVectors];
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) channels[v] = M::load(grid[i] + first + v * kLanes);
    const auto* window = cells[i];
    if constexpr (kFetching) {
#pragma GCC unroll 2
      for (int row = 0; row < Factor<T>::kValues; ++row, next += next_bytes) fetch(next);
    }
#pragma GCC unroll 13
    for (int r = 0; r < kWindowValues; ++r) {
      const auto value = M::broadcast(window + offsets[r]);
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) tile[r][v] = M::add(tile[r][v], value, channels[v]);
    }
  }
#pragma GCC unroll 13
  for (int r = 0; r < kWindowValues; ++r) {
    if (r < values) {
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) {
        Lanes& sum = *reinterpret_cast<Lanes*>(sums + r * sums_stride + v * kLanes);
        sum = fresh ? tile[r][v] : sum + tile[r][v];
      }
    }
  }
}

/// kFetching: `lines` is 1, and what follows `next` is fetched with the first channels.
template <typename T, bool kFetching>
inline void add_window_values(const typename Factor<T>::Item* const* cells, int64_t count,
                              int64_t lines, int64_t line, int64_t line_stride,
                              const typename Factor<T>::Item* const* grid, int64_t channels,
                              float* sums, bool fresh, const float* next, int64_t next_step) {
  const int64_t size = lines * line;
  int64_t y = 0;
  int64_t t = 0;
  for (int64_t first = 0; first < size; first += kWindowValues) {
    int64_t offsets[kWindowValues] = {};
    const int64_t values = size - first < kWindowValues ? size - first : kWindowValues;
    for (int64_t r = 0; r < values; ++r) {
      offsets[r] = y * line_stride + t;
      if (++t < line) continue;
      t = 0;
      ++y;
    }
    float* to = sums + first * channels;
    int64_t c = 0;
    if constexpr (kFetching) {
      const auto fetching = [&]<int kVectors>() {
        weight_gradient_tile<T, kVectors, true>(
            cells, count, offsets, grid, c, values, to, channels, fresh,
            reinterpret_cast<const char*>(next + first), next_step * int64_t{sizeof(float)});
        c = kVectors * kLanes;
      };
      channels > kLanes ? fetching.template operator()<2>() : fetching.template operator()<1>();
    }
    for (; c + 2 * kLanes <= channels; c += 2 * kLanes) {
      weight_gradient_tile<T, 2>(cells, count, offsets, grid, c, values, to + c, channels, fresh);
    }
    for (; c < channels; c += kLanes) {
      weight_gradient_tile<T, 1>(cells, count, offsets, grid, c, values, to + c, channels, fresh);
    }
  }
}

template <typename T>
void add_weight_gradient(const typename Factor<T>::Item* const* cells, int64_t count, int64_t lines,
                         int64_t line, int64_t line_stride,
                         const typename Factor<T>::Item* const* grid, int64_t channels, float* sums,
                         bool fresh) {
  add_window_values<T, false>(cells, count, lines, line, line_stride, grid, channels, sums, fresh,
                              nullptr, 0);
}

template <typename T>
void add_weight_gradient_fetching(const typename Factor<T>::Item* const* cells, int64_t count,
                                  int64_t line, const typename Factor<T>::Item* const* grid,
                                  int64_t channels, float* sums, bool fresh, const float* next,
                                  int64_t next_step) {
  add_window_values<T, true>(cells, count, 1, line, 0, grid, channels, sums, fresh, next,
                             next_step);
}

}  // namespace
}  // namespace flexae
