// What one core of this processor multiplies and adds at most, in fp32 and in bf16 with fp32 sums:
// independent products of registers, no memory. Prints two numbers, in 10⁹ operations a second; a
// multiplication and an addition are two. 0 where there is no such instruction.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <ctime>

#include "core/cpu/kernels/loops/simd.h"

namespace flexae {
namespace {

/// More sums than a processor's multipliers have steps, so that none waits for the last one.
constexpr int kSums = 12;
constexpr int64_t kSteps = 4'000'000;

/// The best of a few: operations a second of `add(sum)`, which does `operations`.
template <typename Add>
double best_of(double operations, Add add) {
  double best = 0;
  for (int repeat = 0; repeat < 7; ++repeat) {
    Lanes sums[kSums] = {};
    const std::clock_t begin = std::clock();
    for (int64_t i = 0; i < kSteps; ++i) {
#pragma GCC unroll 12
      for (int s = 0; s < kSums; ++s) add(sums[s]);
    }
    // Processor time: somebody else may want the core, too.
    const double time = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
    // They are used, and must be computed.
    for (Lanes& sum : sums) asm volatile("" : : "m"(sum));
    best = std::max(best, operations * kSums * kSteps / time);
  }
  return best / 1e9;
}

}  // namespace
}  // namespace flexae

int main(int argc, char** /*argv*/) {
  using flexae::best_of;
  using flexae::kLanes;
  using flexae::Lanes;
  Lanes a{};
  Lanes b{};
  for (int i = 0; i < kLanes; ++i) {
    a[i] = static_cast<float>(argc);
    b[i] = 0.5F;
  }
  const double fp32 = best_of(2.0 * kLanes, [&](Lanes& sum) {
    // Held back, so that the loop is not folded into one product.
    asm volatile("" : "+x"(a));
    sum += a * b;
  });
  double bf16 = 0;
#ifdef __AVX512BF16__
  auto x = (Lanes)_mm512_cvtne2ps_pbh((__m512)a, (__m512)a);
  const auto y = (__m512bh)_mm512_cvtne2ps_pbh((__m512)b, (__m512)b);
  bf16 = best_of(4.0 * kLanes, [&](Lanes& sum) {
    asm volatile("" : "+x"(x));
    sum = (Lanes)_mm512_dpbf16_ps((__m512)sum, (__m512bh)x, y);
  });
#endif
  std::printf("%.1f %.1f\n", fp32, bf16);
}
