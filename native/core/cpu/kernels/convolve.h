// The products of a convolution (see ValueKernels::convolve and add_weight_gradient), for whatever
// instruction set the including file is compiled for. Static and free of the standard library, as
// loops.h says.

#include <cstdint>

#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

#include "core/cpu/kernels/kernels.h"

namespace flexae {
namespace {

// Channels of one register, and cells whose sums the registers hold at once: kCells × 2 sums, two
// weights and one value must fit into 16 registers, or 32 with AVX-512.
#if defined(__AVX512F__)
constexpr int kLanes = 16;
constexpr int kCells = 12;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
constexpr int kCells = 6;
#else
constexpr int kLanes = 4;
constexpr int kCells = 6;
#endif

/// One register; may lie anywhere in memory.
using Lanes
    [[gnu::vector_size(kLanes * sizeof(float)), gnu::aligned(alignof(float)), gnu::may_alias]] =
        float;
using IntLanes
    [[gnu::vector_size(kLanes * sizeof(float)), gnu::aligned(alignof(float)), gnu::may_alias]] =
        int32_t;
using UnsignedLanes
    [[gnu::vector_size(kLanes * sizeof(float)), gnu::aligned(alignof(float)), gnu::may_alias]] =
        uint32_t;
using ShortLanes [[gnu::vector_size(kLanes * sizeof(uint16_t)), gnu::aligned(alignof(uint16_t)),
                   gnu::may_alias]] = uint16_t;

/// Whether this instruction set multiplies values stored as T, and how.
template <typename T>
struct Multiplies {
  static constexpr bool value = false;
};

template <>
struct Multiplies<float> {
  static constexpr bool value = true;
  using Vector = Lanes;
  static Lanes load(const void* values) { return *static_cast<const Lanes*>(values); }
  static Lanes broadcast(const void* value) { return *static_cast<const float*>(value) - Lanes{}; }
  static Lanes add(Lanes sum, Lanes value, Lanes weights) { return sum + value * weights; }
};

inline void store_lanes(float* to, Lanes values) {
  *reinterpret_cast<Lanes*>(to) = values;
}

#ifdef __AVX512BF16__
template <>
struct Multiplies<Bf16> {
  static constexpr bool value = true;
  using Vector = __m512i;
  static __m512i load(const void* values) { return _mm512_loadu_si512(values); }
  static __m512i broadcast(const void* value) {
    int pair;
    __builtin_memcpy(&pair, value, sizeof pair);
    return _mm512_set1_epi32(pair);
  }
  static Lanes add(Lanes sum, __m512i value, __m512i weights) {
    return (Lanes)_mm512_dpbf16_ps((__m512)sum, (__m512bh)value, (__m512bh)weights);
  }
};

inline void store_lanes(Bf16* to, Lanes values) {
  const __m256bh narrow = _mm512_cvtneps_pbh((__m512)values);
  __builtin_memcpy(to, &narrow, sizeof narrow);
}
#endif

/// The second-level cache fetches a line of memory.
inline void fetch(const char* line) {
  __builtin_prefetch(line, 0, 2);
}

/// kCells cells by kVectors·kLanes channels; the first `rows` cells and `channels` channels of the
/// result are stored, from out[·][first] on. kFetching: see ValueKernels::convolve_fetching.
template <typename T, typename O, int kVectors, bool kFetching = false>
inline void convolve_tile(const T* const* cells, int64_t rows, int64_t lines, int64_t line,
                          int64_t line_stride, const typename Factor<T>::Item* packed,
                          int64_t channels, O* const* out, int64_t first,
                          const char* next = nullptr) {
  using M = Multiplies<T>;
  constexpr int64_t kValues = Factor<T>::kValues;
  const int64_t steps = (line + kValues - 1) / kValues;
  // With one vector, two steps at a time: as many sums, so that none waits for the last one. All
  // loops over r, v and u unroll, so that these arrays are registers.
  constexpr int kTogether = 2 / kVectors;
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
      typename M::Vector weights[2];
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) weights[v] = M::load(packed + v * kLanes);
#pragma GCC unroll 12
      for (int r = 0; r < kCells; ++r) {
#pragma GCC unroll 2
        for (int v = 0; v < 2; ++v) {
          const auto value = M::broadcast(at[r] + (t + v / kVectors) * kValues);
          sums[r][v] = M::add(sums[r][v], value, weights[v]);
        }
      }
      packed += 2 * kLanes;
      if constexpr (kFetching) {
        constexpr int64_t kBytes = kTogether * kCells * kValues * int64_t{sizeof(float)};
#pragma GCC unroll 2
        for (int64_t byte = 0; byte < kBytes; byte += 64) fetch(next + byte);
        next += kBytes;
      }
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
  if (kVectors == 1) {
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

/// Calls body(panel, vectors, c, width) for the panels of a packed weight of `rows` rows: of
/// `width` channels from c on, in one or two vectors.
template <typename Item, typename Body>
inline void for_each_panel(const Item* packed, int64_t rows, int64_t channels, Body body) {
  for (int64_t c = 0; c < channels;) {
    const int64_t left = channels - c;
    const int64_t vectors = left > kLanes ? 2 : 1;
    const int64_t width = left < vectors * kLanes ? left : vectors * kLanes;
    body(packed, vectors, c, width);
    packed += rows * vectors * kLanes;
    c += width;
  }
}

/// kFetching: what follows `next` is fetched, in the first panel, which is then of two vectors.
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
          if (kFetching && c == 0) {
            convolve_tile<T, O, 2, kFetching>(cells + i, rows, lines, line, line_stride, panel,
                                              width, out + i, c,
                                              reinterpret_cast<const char*>(next + i * line));
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

/// Window values whose sums the registers hold at once, as kCells above. Thirteen: twice that is a
/// 5×5 window of one channel.
#if defined(__AVX512F__)
constexpr int kWindowValues = 13;
#else
constexpr int kWindowValues = kCells;
#endif

/// kWindowValues window values by kVectors·kLanes channels from `first` on, over `count` cells. The
/// first `values` rows of the sums are stored. kFetching: see
/// ValueKernels::add_weight_gradient_fetching.
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

/// kFetching: `lines` is 1, and what follows `next` is fetched with the first channels, which then
/// fill two vectors.
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
      weight_gradient_tile<T, 2, true>(cells, count, offsets, grid, c, values, to, channels, fresh,
                                       reinterpret_cast<const char*>(next + first),
                                       next_step * int64_t{sizeof(float)});
      c = 2 * kLanes;
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

#ifdef __AVX512F__
/// 6/kVectors tiles by kVectors·kLanes channels; the first `count` tiles and `channels` channels of
/// the result are stored, from out[·][first] on. kWidth and kThird are the widths where they are
/// known beforehand: of 5×5 windows of one channel or three at a stride of 2. Short loops cost
/// much.
template <int kVectors, int kWidth, int kThird>
inline void lines_tile(const float* const* tiles, int64_t count, int64_t lines, int64_t line_stride,
                       const int64_t* offsets, const int64_t* widths, const float* packed,
                       int64_t channels, float* const* out, int64_t first) {
  using M = Multiplies<float>;
  constexpr int kTiles = 6 / kVectors;
  constexpr int kWidths[4] = {kWidth, kWidth, kThird, kWidth};
  Lanes sums[4][kTiles][kVectors];
  const float* at[kTiles];
#pragma GCC unroll 6
  for (int r = 0; r < kTiles; ++r) {
    at[r] = tiles[r < count ? r : 0];
#pragma GCC unroll 4
    for (int m = 0; m < 4; ++m) {
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) sums[m][r][v] = Lanes{};
    }
  }
  for (int64_t y = 0; y < lines; ++y) {
#pragma GCC unroll 4
    for (int m = 0; m < 4; ++m) {
      const int64_t width = kWidth == 0 ? widths[m] : kWidths[m];
      const int64_t offset = offsets[m];
#pragma GCC unroll 6
      for (int64_t t = 0; t < width; ++t, packed += kVectors * kLanes) {
        Lanes weights[kVectors];
#pragma GCC unroll 2
        for (int v = 0; v < kVectors; ++v) {
          weights[v] = M::load(packed + v * kLanes);
          // The compiler would load it again for each tile.
          asm("" : "+v"(weights[v]));
        }
#pragma GCC unroll 6
        for (int r = 0; r < kTiles; ++r) {
          const Lanes value = M::broadcast(at[r] + offset + t);
#pragma GCC unroll 2
          for (int v = 0; v < kVectors; ++v)
            sums[m][r][v] = M::add(sums[m][r][v], value, weights[v]);
        }
      }
    }
#pragma GCC unroll 6
    for (int r = 0; r < kTiles; ++r) at[r] += line_stride;
  }
  const bool whole = channels == kVectors * kLanes;
#pragma GCC unroll 6
  for (int r = 0; r < kTiles; ++r) {
    if (r >= count) return;
#pragma GCC unroll 2
    for (int cell = 0; cell < 2; ++cell) {
      float* const result = out[2 * r + cell];
      if (result == nullptr) continue;
      float part[kVectors * kLanes];
      float* to = whole ? result + first : part;
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) {
        const Lanes both =
            cell == 0 ? sums[1][r][v] + sums[2][r][v] : sums[1][r][v] - sums[2][r][v];
        store_lanes(to + v * kLanes, both + sums[cell == 0 ? 0 : 3][r][v]);
      }
      if (whole) continue;
      for (int64_t c = 0; c < channels; ++c) result[first + c] = part[c];
    }
  }
}

template <int kWidth, int kThird>
void convolve_lines(const float* const* tiles, float* const* out, int64_t count, int64_t lines,
                    int64_t line_stride, const int64_t* offsets, const int64_t* widths,
                    const float* packed, int64_t channels) {
  const int64_t size = lines * (widths[0] + widths[1] + widths[2] + widths[3]);
  for_each_panel(
      packed, size, channels, [&](const float* panel, int64_t vectors, int64_t c, int64_t width) {
        const int64_t step = 6 / vectors;
        for (int64_t i = 0; i < count; i += step) {
          const int64_t now = count - i < step ? count - i : step;
          const auto tile =
              vectors == 2 ? lines_tile<2, kWidth, kThird> : lines_tile<1, kWidth, kThird>;
          tile(tiles + i, now, lines, line_stride, offsets, widths, panel, width, out + 2 * i, c);
        }
      });
}

void convolve_lines(const float* const* tiles, float* const* out, int64_t count, int64_t lines,
                    int64_t line_stride, const int64_t* offsets, const int64_t* widths,
                    const float* packed, int64_t channels) {
  const auto convolve = widths[0] == 6 && widths[2] == 3   ? convolve_lines<6, 3>
                        : widths[0] == 2 && widths[2] == 1 ? convolve_lines<2, 1>
                                                           : convolve_lines<0, 0>;
  convolve(tiles, out, count, lines, line_stride, offsets, widths, packed, channels);
}
#endif

}  // namespace
}  // namespace flexae
