#pragma once

#include <cstdint>

namespace flexae {

// Four fp32 values side by side, as every processor that libtorch runs on computes them at once.

using Quad [[gnu::vector_size(16), gnu::aligned(alignof(float)), gnu::may_alias]] = float;
using IntQuad [[gnu::vector_size(16), gnu::aligned(alignof(float)), gnu::may_alias]] = int32_t;

inline Quad all_of(float value) {
  return Quad{value, value, value, value};
}

/// Whether a comparison holds for any of the four.
inline bool any_of(IntQuad mask) {
  return (mask[0] | mask[1] | mask[2] | mask[3]) != 0;
}

/// {Σa, Σb, Σc, Σd}
[[gnu::always_inline]] inline Quad sums_of(Quad a, Quad b, Quad c, Quad d) {
#ifdef __clang__
  const Quad ab =
      __builtin_shufflevector(a, b, 0, 4, 1, 5) + __builtin_shufflevector(a, b, 2, 6, 3, 7);
  const Quad cd =
      __builtin_shufflevector(c, d, 0, 4, 1, 5) + __builtin_shufflevector(c, d, 2, 6, 3, 7);
  return __builtin_shufflevector(ab, cd, 0, 1, 4, 5) + __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
#else
  const Quad ab =
      __builtin_shuffle(a, b, IntQuad{0, 4, 1, 5}) + __builtin_shuffle(a, b, IntQuad{2, 6, 3, 7});
  const Quad cd =
      __builtin_shuffle(c, d, IntQuad{0, 4, 1, 5}) + __builtin_shuffle(c, d, IntQuad{2, 6, 3, 7});
  return __builtin_shuffle(ab, cd, IntQuad{0, 1, 4, 5}) +
         __builtin_shuffle(ab, cd, IntQuad{2, 3, 6, 7});
#endif
}

/// Replaces each x of N quads by x^exponent to six digits, of x from 1e-30 to 1e30, if that is
/// within [2^-126, 2^126]; by that bound if it is beyond. All N step by step, for one step waits
/// for another.
template <int N>
[[gnu::always_inline]] inline void raise_to(float exponent, Quad* values) {
  // x = 2^whole · part, part in [√½, √2)
  const IntQuad root_half = IntQuad{} + 0x3f3504f3;
  Quad s[N];
  Quad whole[N];
  for (int i = 0; i < N; ++i) {
    const IntQuad above = (IntQuad)values[i] - root_half;
    const Quad part = (Quad)((above & 0x007fffff) + root_half);
    whole[i] = __builtin_convertvector(above >> 23, Quad);
    s[i] = (part - 1.0F) / (part + 1.0F);
  }
  // log₂(part) = 2/ln 2 · artanh(s), and y = exponent · log₂(x)
  Quad y[N];
  for (int i = 0; i < N; ++i) {
    const Quad s2 = s[i] * s[i];
    const Quad low = 2.88539008F + s2 * 0.96179669F;
    const Quad high = 0.57707802F + s2 * 0.41219858F;
    y[i] = (whole[i] + s[i] * (low + s2 * s2 * high)) * exponent;
    y[i] = y[i] > 126.0F ? all_of(126.0F) : y[i];
    y[i] = y[i] < -126.0F ? all_of(-126.0F) : y[i];
  }
  // 2^y = 2^n · 2^f, f in [−½, ½]: a number as large as this has no room for a fraction.
  constexpr float kNoFraction = 12582912.0F;
  for (int i = 0; i < N; ++i) {
    const Quad shifted = y[i] + kNoFraction;
    const IntQuad n = (IntQuad)shifted - (IntQuad)all_of(kNoFraction);
    const Quad f = y[i] - (shifted - kNoFraction);
    const Quad f2 = f * f;
    const Quad low = (1.0F + f * 0.69314718F) + f2 * (0.24022651F + f * 0.05550411F);
    const Quad high = (0.00961813F + f * 0.00133336F) + f2 * 0.00015404F;
    values[i] = (Quad)((IntQuad)(low + f2 * f2 * high) + (n << 23));
  }
}

}  // namespace flexae
