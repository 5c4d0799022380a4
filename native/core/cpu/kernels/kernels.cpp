#include "core/cpu/kernels/kernels.h"

#include <cstdlib>
#include <string_view>

namespace flexae {
namespace {

const Kernels& choose() {
  const char* asked = std::getenv("FLEXAE_KERNELS");
  const std::string_view limit = asked != nullptr ? asked : "";
  if (limit != "baseline") {
    if (limit != "avx2") {
      const Kernels* bf16 = avx512bf16_kernels();
      if (bf16 != nullptr && limit != "avx512") return *bf16;
      if (const Kernels* avx512 = avx512_kernels()) return *avx512;
    }
    if (const Kernels* avx2 = avx2_kernels()) return *avx2;
  }
  return *baseline_kernels();
}

}  // namespace

const Kernels& kernels() {
  static const Kernels& chosen = choose();
  return chosen;
}

}  // namespace flexae
