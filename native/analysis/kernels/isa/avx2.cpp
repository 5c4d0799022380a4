#include "analysis/kernels/loops.h"

namespace flexae {

#ifdef __AVX2__
const PointKernels* avx2_point_kernels() {
  static constexpr PointKernels table = make_point_kernels();
  const bool supported = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
  return supported ? &table : nullptr;
}
#else
const PointKernels* avx2_point_kernels() {
  return nullptr;
}
#endif

}  // namespace flexae
