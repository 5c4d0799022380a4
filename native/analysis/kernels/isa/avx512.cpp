#include "analysis/kernels/loops.h"

namespace flexae {

#ifdef __AVX512F__
const PointKernels* avx512_point_kernels() {
  static constexpr PointKernels table = make_point_kernels();
  const bool supported =
      __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
      __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0;
  return supported ? &table : nullptr;
}
#else
const PointKernels* avx512_point_kernels() {
  return nullptr;
}
#endif

}  // namespace flexae
