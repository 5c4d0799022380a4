#pragma once

#include <cstdint>

namespace flexae {

// Four fp32 values side by side, as every processor that libtorch runs on computes them at once.

using Quad [[gnu::vector_size(16), gnu::aligned(alignof(float)), gnu::may_alias]] = float;
using IntQuad [[gnu::vector_size(16), gnu::aligned(alignof(float)), gnu::may_alias]] = int32_t;

inline Quad all_of(float value) {
  return Quad{value, value, value, value};
}

/// {Σa, Σb, Σc, Σd}
inline Quad sums_of(Quad a, Quad b, Quad c, Quad d) {
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

/// x^exponent to six digits, of x from 1e-30 to 1e30, if that is within [2^-126, 2^126]; at that
/// bound if it is beyond.
inline Quad power_of(Quad x, float exponent) {
  // x = 2^whole · part, part in [√½, √2)
  const IntQuad root_half = IntQuad{} + 0x3f3504f3;
  const IntQuad above = (IntQuad)x - root_half;
  const Quad part = (Quad)((above & 0x007fffff) + root_half);
  const Quad whole = __builtin_convertvector(above >> 23, Quad);
  // log₂(part) = 2/ln 2 · artanh((part − 1) / (part + 1))
  const Quad s = (part - 1.0F) / (part + 1.0F);
  const Quad s2 = s * s;
  const Quad log =
      whole + s * (2.88539008F + s2 * (0.96179669F + s2 * (0.57707802F + s2 * 0.41219858F)));
  Quad y = log * exponent;
  y = y > 126.0F ? all_of(126.0F) : y;
  y = y < -126.0F ? all_of(-126.0F) : y;
  // 2^y = 2^n · 2^f, f in [−½, ½]: a number this large has no room for a fraction.
  constexpr float kNoFraction = 12582912.0F;
  const Quad shifted = y + kNoFraction;
  const IntQuad n = (IntQuad)shifted - (IntQuad)all_of(kNoFraction);
  const Quad f = y - (shifted - kNoFraction);
  const Quad fraction =
      1.0F +
      f * (0.69314718F +
           f * (0.24022651F +
                f * (0.05550411F + f * (0.00961813F + f * (0.00133336F + f * 0.00015404F)))));
  return (Quad)((IntQuad)fraction + (n << 23));
}

}  // namespace flexae
