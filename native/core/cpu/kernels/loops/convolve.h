#pragma once

// The products ProductKernels::convolve and dots.

#include <cstdint>

#include "core/cpu/kernels/loops/multiply.h"
#include "core/cpu/kernels/loops/simd.h"
#include "core/cpu/kernels/products.h"

namespace flexae {
namespace {

/// What a tile fetches with each step: nothing.
struct FetchNothing {
  static constexpr bool kStepByStep = false;
  void operator()() {}
};

/// As many bytes as fp32 values of kCells cells take, of what is one behind the other.
template <typename T>
struct FetchCells {
  static constexpr bool kStepByStep = true;
  const char* next;
  void operator()() {
    constexpr int64_t kBytes = kCells * Factor<T>::kValues * int64_t{sizeof(float)};
#pragma GCC unroll 2
    for (int64_t byte = 0; byte < kBytes; byte += 64) fetch(next + byte);
    next += kBytes;
  }
};

/// Of some rows, two registers from `first` on.
struct FetchRows {
  static constexpr bool kStepByStep = false;
  const float* const* next;
  int64_t rows;
  int64_t rows_a_step;
  int64_t first;
  void operator()() {
    for (int64_t i = 0; i < rows_a_step && rows > 0; ++i, ++next, --rows) {
      const char* line = reinterpret_cast<const char*>(*next + first);
      fetch(line);
      fetch(line + kLanes * int64_t{sizeof(float)});
    }
  }
};

/// kCells cells by kVectors·kLanes channels; the first `rows` cells and `channels` channels of the
/// result are stored, from out[·][first] on.
template <typename T, typename O, int kVectors, typename Fetch = FetchNothing>
inline void convolve_tile(const T* const* cells, int64_t rows, int64_t lines, int64_t line,
                          int64_t line_stride, const typename Factor<T>::Item* packed,
                          int64_t channels, O* const* out, int64_t first, Fetch fetch_next = {}) {
  using M = Multiplies<T>;
  constexpr int64_t kValues = Factor<T>::kValues;
  const int64_t steps = (line + kValues - 1) / kValues;
  // With one vector, two steps at a time: as many sums, so that none waits for the last one. Not
  // where sums must be those of two vectors, to the last digit. All loops over r, v and u unroll,
  // so that these arrays are registers.
  constexpr int kTogether = Fetch::kStepByStep ? 1 : 2 / kVectors;
  constexpr int kLoads = kVectors * kTogether;
  Lanes sums[kCells][2];
  const T* at[kCells];
#pragma GCC unroll 12
  for (int r = 0; r < kCells; ++r) {
    at[r] = cells[r < rows ? r : 0];
    sums[r][0] = sums[r][1] = Lanes{};
  }
  for (int64_t y = 0; y < lines; ++y) {
    int64_t t = 0;
    for (; t + kTogether <= steps; t += kTogether) {
      typename M::Vector weights[kLoads];
#pragma GCC unroll 2
      for (int v = 0; v < kLoads; ++v) weights[v] = M::load(packed + v * kLanes);
#pragma GCC unroll 12
      for (int r = 0; r < kCells; ++r) {
#pragma GCC unroll 2
        for (int v = 0; v < kLoads; ++v) {
          const auto value = M::broadcast(at[r] + (t + v / kVectors) * kValues);
          sums[r][v] = M::add(sums[r][v], value, weights[v]);
        }
      }
      packed += kLoads * kLanes;
      fetch_next();
    }
    if (t < steps) {
      const auto weights = M::load(packed);
#pragma GCC unroll 12
      for (int r = 0; r < kCells; ++r) {
        sums[r][0] = M::add(sums[r][0], M::broadcast(at[r] + t * kValues), weights);
      }
      packed += kLanes;
    }
#pragma GCC unroll 12
    for (int r = 0; r < kCells; ++r) at[r] += line_stride;
  }
  if (kVectors == 1 && kTogether == 2) {
#pragma GCC unroll 12
    for (int r = 0; r < kCells; ++r) sums[r][0] += sums[r][1];
  }
  const bool whole = channels == kVectors * kLanes;
#pragma GCC unroll 12
  for (int r = 0; r < kCells; ++r) {
    if (r >= rows) return;
    O part[kVectors * kLanes];
    O* to = whole ? out[r] + first : part;
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) store_lanes(to + v * kLanes, sums[r][v]);
    if (whole) continue;
    for (int64_t c = 0; c < channels; ++c) out[r][first + c] = part[c];
  }
}

/// kFetching: what follows `next` is fetched, in the first panel.
template <typename T, typename O, bool kFetching>
inline void convolve_panels(const T* const* cells, O* const* out, int64_t count, int64_t lines,
                            int64_t line, int64_t line_stride,
                            const typename Factor<T>::Item* packed, int64_t channels,
                            const float* next) {
  const int64_t size = lines * ((line + Factor<T>::kValues - 1) / Factor<T>::kValues);
  for_each_panel(
      packed, size, channels, [&](const auto* panel, int64_t vectors, int64_t c, int64_t width) {
        for (int64_t i = 0; i < count; i += kCells) {
          const int64_t rows = count - i < kCells ? count - i : kCells;
          const auto fetching = [&]<int kVectors>() {
            convolve_tile<T, O, kVectors, FetchCells<T>>(
                cells + i, rows, lines, line, line_stride, panel, width, out + i, c,
                {reinterpret_cast<const char*>(next + i * line)});
          };
          if (kFetching && c == 0) {
            vectors == 2 ? fetching.template operator()<2>() : fetching.template operator()<1>();
          } else if (vectors == 2) {
            convolve_tile<T, O, 2>(cells + i, rows, lines, line, line_stride, panel, width, out + i,
                                   c);
          } else {
            convolve_tile<T, O, 1>(cells + i, rows, lines, line, line_stride, panel, width, out + i,
                                   c);
          }
        }
      });
}

template <typename T, typename O>
void convolve(const T* const* cells, O* const* out, int64_t count, int64_t lines, int64_t line,
              int64_t line_stride, const typename Factor<T>::Item* packed, int64_t channels) {
  convolve_panels<T, O, false>(cells, out, count, lines, line, line_stride, packed, channels,
                               nullptr);
}

template <typename T>
void convolve_fetching(const T* const* cells, float* const* out, int64_t count, int64_t line,
                       const typename Factor<T>::Item* packed, int64_t channels,
                       const float* next) {
  convolve_panels<T, float, true>(cells, out, count, 1, line, 0, packed, channels, next);
}

template <typename T>
void convolve_before(const T* const* cells, float* const* out, int64_t count, int64_t line,
                     const typename Factor<T>::Item* packed, int64_t channels,
                     const float* const* next, int64_t rows) {
  if (rows == 0) return convolve<T, float>(cells, out, count, 1, line, 0, packed, channels);
  const int64_t steps = (line + Factor<T>::kValues - 1) / Factor<T>::kValues;
  const int64_t rows_a_step = (rows + steps - 1) / steps;
  for_each_panel(
      packed, steps, channels, [&](const auto* panel, int64_t vectors, int64_t c, int64_t width) {
        for (int64_t i = 0; i < count; i += kCells) {
          const int64_t left = count - i < kCells ? count - i : kCells;
          if (vectors == 2) {
            convolve_tile<T, float, 2, FetchRows>(cells + i, left, 1, line, 0, panel, width,
                                                  out + i, c,
                                                  {next, i == 0 ? rows : 0, rows_a_step, c});
          } else {
            convolve_tile<T, float, 1>(cells + i, left, 1, line, 0, panel, width, out + i, c);
          }
        }
      });
}

/// (a₀ + a₁, a₂ + a₃, …, b₀ + b₁, b₂ + b₃, …)
inline Lanes add_neighbours(Lanes a, Lanes b) {
#if defined(__AVX512F__)
  return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30) +
         __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
#elif defined(__AVX2__)
  return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14) +
         __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15);
#else
  return __builtin_shufflevector(a, b, 0, 2, 4, 6) + __builtin_shufflevector(a, b, 1, 3, 5, 7);
#endif
}

template <typename T>
void dots(const T* first, int64_t step, int64_t count, int64_t lines, int64_t width,
          int64_t line_stride, const T* weight, float* out, int64_t out_step) {
  using M = Multiplies<T>;
  constexpr int64_t kStep = Factor<T>::kValues * kLanes;
  const int64_t step3 = 3 * step;
  for (int64_t i = 0; i < count; i += kLanes) {
    const int64_t cells = count - i < kLanes ? count - i : kLanes;
    // All loops over r and q unroll, so that sums are registers. Four pointers and distances: one
    // for each cell would be too many registers.
    Lanes sums[kLanes];
    const T* at[kLanes / 4];
#pragma GCC unroll 16
    for (int r = 0; r < kLanes; ++r) sums[r] = Lanes{};
#pragma GCC unroll 4
    for (int q = 0; q < kLanes / 4; ++q) at[q] = first + (i + 4 * q) * step;
    const T* row = weight;
    for (int64_t y = 0; y < lines; ++y) {
      for (int64_t t = 0; t < width; t += kStep) {
        const auto weights = M::load(row + t);
#pragma GCC unroll 4
        for (int q = 0; q < kLanes / 4; ++q) {
          const T* p = at[q] + t;
          sums[4 * q] = M::add(sums[4 * q], M::load(p), weights);
          sums[4 * q + 1] = M::add(sums[4 * q + 1], M::load(p + step), weights);
          sums[4 * q + 2] = M::add(sums[4 * q + 2], M::load(p + 2 * step), weights);
          sums[4 * q + 3] = M::add(sums[4 * q + 3], M::load(p + step3), weights);
        }
      }
      row += width;
#pragma GCC unroll 4
      for (int q = 0; q < kLanes / 4; ++q) at[q] += line_stride;
    }
#pragma GCC unroll 4
    for (int left = kLanes / 2; left > 0; left /= 2) {
#pragma GCC unroll 8
      for (int r = 0; r < left; ++r) sums[r] = add_neighbours(sums[2 * r], sums[2 * r + 1]);
    }
    float results[kLanes];
    store_lanes(results, sums[0]);
    for (int64_t r = 0; r < cells; ++r) out[(i + r) * out_step] = results[r];
  }
}

}  // namespace
}  // namespace flexae
