// The products of a convolution (see Kernels::convolve and Kernels::add_weight_gradient), for
// whatever instruction set the including file is compiled for. Static and free of the standard
// library, as loops.h says.

#include <cstdint>

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

/// kCells cells by kVectors·kLanes channels; the first `rows` cells and `channels` channels of the
/// result are stored, from out[·][first] on.
template <int kVectors>
inline void convolve_tile(const float* const* cells, int64_t rows, int64_t lines, int64_t line,
                          int64_t line_stride, const float* packed, int64_t channels,
                          float* const* out, int64_t first) {
  // With one vector, two window values at a time: as many sums, so that none waits for the last
  // one. All loops over r, v and u unroll, so that these arrays are registers.
  constexpr int kTogether = 2 / kVectors;
  Lanes sums[kCells][2];
  const float* at[kCells];
#pragma GCC unroll 12
  for (int r = 0; r < kCells; ++r) {
    at[r] = cells[r < rows ? r : 0];
    sums[r][0] = sums[r][1] = Lanes{};
  }
  for (int64_t y = 0; y < lines; ++y) {
    int64_t t = 0;
    for (; t + kTogether <= line; t += kTogether) {
      Lanes weights[2];
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) {
        weights[v] = *reinterpret_cast<const Lanes*>(packed + v * kLanes);
      }
#pragma GCC unroll 12
      for (int r = 0; r < kCells; ++r) {
#pragma GCC unroll 2
        for (int v = 0; v < 2; ++v) {
          const Lanes value = at[r][t + v / kVectors] - Lanes{};
          sums[r][v] += value * weights[v];
        }
      }
      packed += 2 * kLanes;
    }
    if (t < line) {
      const Lanes weights = *reinterpret_cast<const Lanes*>(packed);
#pragma GCC unroll 12
      for (int r = 0; r < kCells; ++r) {
        const Lanes value = at[r][t] - Lanes{};
        sums[r][0] += value * weights;
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
    float part[kVectors * kLanes];
    float* to = whole ? out[r] + first : part;
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) *reinterpret_cast<Lanes*>(to + v * kLanes) = sums[r][v];
    if (whole) continue;
    for (int64_t c = 0; c < channels; ++c) out[r][first + c] = part[c];
  }
}

void convolve(const float* const* cells, float* const* out, int64_t count, int64_t lines,
              int64_t line, int64_t line_stride, const float* packed, int64_t channels) {
  const int64_t size = lines * line;
  for (int64_t c = 0; c < channels;) {
    const int64_t left = channels - c;
    const int64_t vectors = left > kLanes ? 2 : 1;
    const int64_t width = left < vectors * kLanes ? left : vectors * kLanes;
    for (int64_t i = 0; i < count; i += kCells) {
      const int64_t rows = count - i < kCells ? count - i : kCells;
      if (vectors == 2) {
        convolve_tile<2>(cells + i, rows, lines, line, line_stride, packed, width, out + i, c);
      } else {
        convolve_tile<1>(cells + i, rows, lines, line, line_stride, packed, width, out + i, c);
      }
    }
    packed += size * vectors * kLanes;
    c += width;
  }
}

/// Window values whose sums the registers hold at once, as kCells above.
constexpr int kValues = kCells;

/// kValues window values by kVectors·kLanes channels from `first` on, over `count` cells. The first
/// `values` rows of the sums are stored.
template <int kVectors>
inline void weight_gradient_tile(const float* const* cells, int64_t count, const int64_t* offsets,
                                 const float* const* grid, int64_t first, int64_t values,
                                 float* sums, int64_t sums_stride) {
  Lanes tile[kValues][kVectors];
#pragma GCC unroll 12
  for (int r = 0; r < kValues; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) tile[r][v] = Lanes{};
  }
  for (int64_t i = 0; i < count; ++i) {
    Lanes channels[kVectors];
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) {
      channels[v] = *reinterpret_cast<const Lanes*>(grid[i] + first + v * kLanes);
    }
    const float* window = cells[i];
#pragma GCC unroll 12
    for (int r = 0; r < kValues; ++r) {
      const Lanes value = window[offsets[r]] - Lanes{};
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) tile[r][v] += value * channels[v];
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < kValues; ++r) {
    if (r < values) {
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) {
        *reinterpret_cast<Lanes*>(sums + r * sums_stride + v * kLanes) += tile[r][v];
      }
    }
  }
}

void add_weight_gradient(const float* const* cells, int64_t count, int64_t lines, int64_t line,
                         int64_t line_stride, const float* const* grid, int64_t channels,
                         float* sums) {
  const int64_t size = lines * line;
  int64_t y = 0;
  int64_t t = 0;
  for (int64_t first = 0; first < size; first += kValues) {
    int64_t offsets[kValues] = {};
    const int64_t values = size - first < kValues ? size - first : kValues;
    for (int64_t r = 0; r < values; ++r) {
      offsets[r] = y * line_stride + t;
      if (++t < line) continue;
      t = 0;
      ++y;
    }
    float* to = sums + first * channels;
    int64_t c = 0;
    for (; c + 2 * kLanes <= channels; c += 2 * kLanes) {
      weight_gradient_tile<2>(cells, count, offsets, grid, c, values, to + c, channels);
    }
    for (; c < channels; c += kLanes) {
      weight_gradient_tile<1>(cells, count, offsets, grid, c, values, to + c, channels);
    }
  }
}

}  // namespace
}  // namespace flexae
