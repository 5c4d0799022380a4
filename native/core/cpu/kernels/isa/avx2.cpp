#include "core/cpu/kernels/loops.h"

namespace flexae {

#ifdef __AVX2__
const Kernels* avx2_kernels() {
  static constexpr Kernels set = make_kernels("avx2");
  const bool supported = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
  return supported ? &set : nullptr;
}
#else
const Kernels* avx2_kernels() {
  return nullptr;
}
#endif

}  // namespace flexae
