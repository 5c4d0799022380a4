#include "core/cpu/kernels/loops.h"

namespace flexae {

#ifdef __AVX512BF16__
const Kernels* avx512bf16_kernels() {
  static constexpr Kernels set = make_kernels("avx512bf16");
  const bool supported = avx512_kernels() != nullptr && __builtin_cpu_supports("avx512bf16") != 0;
  return supported ? &set : nullptr;
}
#else
const Kernels* avx512bf16_kernels() {
  return nullptr;
}
#endif

}  // namespace flexae
