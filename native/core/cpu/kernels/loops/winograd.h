#pragma once

// Loops of Winograd2dKernels and Winograd1dKernels: combinations of pixels, cells and lines.

#include <cstdint>

#include "core/cpu/kernels/loops/convolve_lines.h"
#include "core/cpu/kernels/loops/simd.h"
#include "core/cpu/kernels/winograd.h"

namespace flexae {
namespace {

template <typename In, typename O>
void combine(const In* a, const In* b, float sign, O* out, int64_t count, int64_t step,
             int64_t out_step, int64_t n) {
  for (int64_t t = 0; t < count; ++t, a += step, b += step, out += out_step) {
    cover_by_registers(
        n, [&]<typename F>(F, int64_t i) { put(out + i, get<F>(a + i) + sign * get<F>(b + i)); });
  }
}

void add_apart(const float* x, float* a, float* b, float sign, int64_t count, int64_t x_step,
               int64_t step, int64_t n) {
  for (int64_t t = 0; t < count; ++t, x += x_step, a += step, b += step) {
    const auto add = [&]<typename F>(int64_t i, F value) {
      put(a + i, get<F>(a + i) + value);
      if (sign != 0) put(b + i, get<F>(b + i) + sign * value);
    };
    const int64_t whole = n / kLanes * kLanes;
    for (int64_t i = 0; i < whole; i += kLanes) add(i, get<Lanes>(x + i));
    if (whole == n) continue;
    if (whole > 0) {
      add(n - kLanes, last_lanes(get<Lanes>(x + n - kLanes), n - whole));
    } else {
      for (int64_t i = 0; i < n; ++i) add(i, x[i]);
    }
  }
}

template <typename T>
void sums_to_cells(const float* sums, int64_t apart, T* const* cells, int64_t n) {
  cover_by_registers(n, [&]<typename F>(F, int64_t i) {
    F first[4];
    F second[4];
#pragma GCC unroll 4
    for (int across = 0; across < 4; ++across) {
      const float* s = sums + across * apart + i;
      const F s1 = get<F>(s + 4 * apart);
      const F s2 = get<F>(s + 8 * apart);
      first[across] = get<F>(s) + s1 + s2;
      second[across] = s1 - s2 - get<F>(s + 12 * apart);
    }
    put(cells[0] + i, first[0] + first[1] + first[2]);
    if (cells[1] != nullptr) put(cells[1] + i, first[1] - first[2] - first[3]);
    if (cells[2] != nullptr) put(cells[2] + i, second[0] + second[1] + second[2]);
    if (cells[3] != nullptr) put(cells[3] + i, second[1] - second[2] - second[3]);
  });
}

template <typename T>
void cells_to_sums(const T* const* cells, T* sums, int64_t apart, int64_t n) {
  cover_by_registers(n, [&]<typename F>(F, int64_t i) {
    const F y[2][2] = {{get<F>(cells[0] + i), get<F>(cells[1] + i)},
                       {get<F>(cells[2] + i), get<F>(cells[3] + i)}};
    F across[2][4];
#pragma GCC unroll 2
    for (int row = 0; row < 2; ++row) {
      across[row][0] = y[row][0];
      across[row][1] = y[row][0] + y[row][1];
      across[row][2] = y[row][0] - y[row][1];
      across[row][3] = -y[row][1];
    }
#pragma GCC unroll 4
    for (int column = 0; column < 4; ++column) {
      T* s = sums + column * apart + i;
      put(s, across[0][column]);
      put(s + 4 * apart, across[0][column] + across[1][column]);
      put(s + 8 * apart, across[0][column] - across[1][column]);
      put(s + 12 * apart, -across[1][column]);
    }
  });
}

void combine_line(const float* x, int64_t stride, const float* has_three, int64_t n, float* first,
                  float* second, float* third) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float a = x[i];
    const float b = x[i + stride];
    const float c = x[i + 2 * stride];
    const bool three = has_three[i] != 0;
    first[i] = a - (three ? c : b);
    second[i] = a + (three ? b : 0.0F);
    third[i] = b - a;
  }
}

template <typename T>
constexpr Winograd2dKernels<T> make_winograd_2d_kernels() {
  return {
      .combine_wide = combine<T, float>,
      .combine = combine<float, T>,
      .sums_to_cells = sums_to_cells<T>,
      .cells_to_sums = cells_to_sums<T>,
      .add_apart = add_apart,
  };
}

constexpr Winograd1dKernels make_winograd_1d_kernels() {
  return {
      .combine_line = combine_line,
#ifdef __AVX512F__
      .convolve_lines = convolve_lines,
#else
      .convolve_lines = nullptr,
#endif
  };
}

}  // namespace
}  // namespace flexae
