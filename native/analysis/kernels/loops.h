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

/// The lower half of a register's lanes, and the upper half.
template <int N, typename V>
inline auto lower_half(V all) {
  if constexpr (N == 16) {
    return __builtin_shufflevector(all, all, 0, 1, 2, 3, 4, 5, 6, 7);
  } else {
    return __builtin_shufflevector(all, all, 0, 1, 2, 3);
  }
}
template <int N, typename V>
inline auto upper_half(V all) {
  if constexpr (N == 16) {
    return __builtin_shufflevector(all, all, 8, 9, 10, 11, 12, 13, 14, 15);
  } else {
    return __builtin_shufflevector(all, all, 4, 5, 6, 7);
  }
}

/// Lane by lane the better of both. Of equal scores the first is taken.
template <int N>
inline BestTwo<N> merge(const BestTwo<N>& a, const BestTwo<N>& b) {
  const auto takes_b = (b.best > a.best) | ((b.best == a.best) & (b.place < a.place));
  const auto lesser = takes_b ? a.best : b.best;
  const auto seconds = a.second > b.second ? a.second : b.second;
  return {.best = takes_b ? b.best : a.best,
          .second = lesser > seconds ? lesser : seconds,
          .place = takes_b ? b.place : a.place};
}

/// The best of all lanes, in lane 0. Without branches, which nobody could foretell.
template <int N>
inline BestTwo<4> fold(const BestTwo<N>& all) {
  if constexpr (N == 4) {
    const BestTwo<4> crossed{.best = __builtin_shufflevector(all.best, all.best, 2, 3, 0, 1),
                             .second = __builtin_shufflevector(all.second, all.second, 2, 3, 0, 1),
                             .place = __builtin_shufflevector(all.place, all.place, 2, 3, 0, 1)};
    const BestTwo<4> two = merge<4>(all, crossed);
    return merge<4>(two, {.best = __builtin_shufflevector(two.best, two.best, 1, 0, 3, 2),
                          .second = __builtin_shufflevector(two.second, two.second, 1, 0, 3, 2),
                          .place = __builtin_shufflevector(two.place, two.place, 1, 0, 3, 2)});
  } else {
    return fold<N / 2>(merge<N / 2>({.best = lower_half<N>(all.best),
                                     .second = lower_half<N>(all.second),
                                     .place = lower_half<N>(all.place)},
                                    {.best = upper_half<N>(all.best),
                                     .second = upper_half<N>(all.second),
                                     .place = upper_half<N>(all.place)}));
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
    const BestTwo<4> first = fold<kLanes>(seen);
    best[r] = first.best[0];
    place[r] = first.place[0];
    second[r] = first.second[0];
  }
}

/// The sum of a register's lanes, halves first.
template <int N>
inline float sum_lanes(typename Register<N>::Floats all) {
  if constexpr (N == 4) {
    return (all[0] + all[2]) + (all[1] + all[3]);
  } else {
    return sum_lanes<N / 2>(lower_half<N>(all) + upper_half<N>(all));
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
  using Four = Register<4>::Floats;
  Four rest{};
  for (; i + 4 <= n; i += 4) {
    const Four difference = get<Four>(a + i) - get<Four>(b + i);
    rest += difference * difference;
  }
  float sum = sum_lanes<4>(rest);
  for (; i < n; ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return n < kLanes ? sum : sum + sum_lanes<kLanes>(sums[0] + sums[1]);
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
