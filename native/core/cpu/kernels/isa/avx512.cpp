#include "core/cpu/kernels/loops.h"

namespace flexae {

#ifdef __AVX512F__
const Kernels* avx512_kernels() {
  static constexpr Kernels set = make_kernels("avx512");
  const bool supported =
      __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
      __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0;
  return supported ? &set : nullptr;
}
#else
const Kernels* avx512_kernels() {
  return nullptr;
}
#endif

}  // namespace flexae
