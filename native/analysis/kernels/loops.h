// The loops of point_kernels.h, for whatever instruction set the including file is compiled for.
// Everything is static and free of the standard library's templates: an inline function compiled
// for AVX-512 must never be the copy that the linker keeps for everyone.

#include <cstdint>

#include "analysis/kernels/point_kernels.h"
#include "core/cpu/kernels/loops/simd.h"

namespace flexae {
namespace {

/// N values in one register, or a part of one.
template <int N>
struct Register {
  typedef float Floats __attribute__((vector_size(N * sizeof(float))));
  typedef int32_t Ints __attribute__((vector_size(N * sizeof(int32_t))));
};

/// The greatest scores that were seen in each of N lanes, the second greatest, and where the
/// greatest were.
template <int N>
struct BestTwo {
  typename Register<N>::Floats best;
  typename Register<N>::Floats second;
  typename Register<N>::Ints place;
};

/// Halves of a register, merged until two lanes are left. Of equal scores the first is taken.
template <int N>
inline BestTwo<2> fold(const BestTwo<N>& all) {
  if constexpr (N == 2) {
    return all;
  } else {
    constexpr int kHalf = N / 2;
    BestTwo<kHalf> a;
    BestTwo<kHalf> b;
    __builtin_memcpy(&a.best, &all.best, sizeof a.best);
    __builtin_memcpy(&b.best, reinterpret_cast<const float*>(&all.best) + kHalf, sizeof b.best);
    __builtin_memcpy(&a.second, &all.second, sizeof a.second);
    __builtin_memcpy(&b.second, reinterpret_cast<const float*>(&all.second) + kHalf,
                     sizeof b.second);
    __builtin_memcpy(&a.place, &all.place, sizeof a.place);
    __builtin_memcpy(&b.place, reinterpret_cast<const int32_t*>(&all.place) + kHalf,
                     sizeof b.place);
    const auto takes_b = (b.best > a.best) | ((b.best == a.best) & (b.place < a.place));
    const auto lesser = takes_b ? a.best : b.best;
    const auto seconds = a.second > b.second ? a.second : b.second;
    BestTwo<kHalf> merged;
    merged.best = takes_b ? b.best : a.best;
    merged.place = takes_b ? b.place : a.place;
    merged.second = lesser > seconds ? lesser : seconds;
    return fold<kHalf>(merged);
  }
}

void best_two(const float* products, int64_t rows, int64_t width, const float* half_norms,
              float* best, int32_t* place, float* second) {
  using Floats = Register<kLanes>::Floats;
  using Ints = Register<kLanes>::Ints;
  Ints lanes;
  for (int i = 0; i < kLanes; ++i) lanes[i] = i;
  for (int64_t r = 0; r < rows; ++r, products += width) {
    BestTwo<kLanes> seen;
    seen.best = get<Floats>(products) - get<Floats>(half_norms);
    seen.second = Floats{} - __builtin_inff();
    seen.place = lanes;
    for (int64_t c = kLanes; c < width; c += kLanes) {
      const Floats scores = get<Floats>(products + c) - get<Floats>(half_norms + c);
      const auto better = scores > seen.best;
      const Floats lesser = better ? seen.best : scores;
      seen.second = lesser > seen.second ? lesser : seen.second;
      seen.best = better ? scores : seen.best;
      seen.place = better ? lanes + static_cast<int32_t>(c) : seen.place;
    }
    const BestTwo<2> two = fold<kLanes>(seen);
    const bool takes_last =
        two.best[1] > two.best[0] || (two.best[1] == two.best[0] && two.place[1] < two.place[0]);
    const float lesser = takes_last ? two.best[0] : two.best[1];
    const float seconds = two.second[0] > two.second[1] ? two.second[0] : two.second[1];
    best[r] = takes_last ? two.best[1] : two.best[0];
    place[r] = takes_last ? two.place[1] : two.place[0];
    second[r] = lesser > seconds ? lesser : seconds;
  }
}

float squared_distance(const float* a, const float* b, int64_t n) {
  // Two sums, so that none waits for the last one.
  Lanes sums[2] = {Lanes{}, Lanes{}};
  int64_t i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
    for (int v = 0; v < 2; ++v) {
      const Lanes difference = get<Lanes>(a + i + v * kLanes) - get<Lanes>(b + i + v * kLanes);
      sums[v] += difference * difference;
    }
  }
  for (; i + kLanes <= n; i += kLanes) {
    const Lanes difference = get<Lanes>(a + i) - get<Lanes>(b + i);
    sums[0] += difference * difference;
  }
  sums[0] += sums[1];
  float sum = 0;
  for (; i < n; ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  for (int lane = 0; lane < kLanes; ++lane) sum += sums[0][lane];
  return sum;
}

double sum_of_distances(const double* products, const double* norms, double norm, double rounding,
                        int64_t n) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) {
    const double lengths = norm + norms[i];
    const double squared = lengths - 2 * products[i];
    sum += __builtin_sqrt(squared > rounding * lengths ? squared : 0.0);
  }
  return sum;
}

constexpr PointKernels make_point_kernels() {
  return {
      .best_two = best_two,
      .squared_distance = squared_distance,
      .sum_of_distances = sum_of_distances,
  };
}

}  // namespace
}  // namespace flexae
