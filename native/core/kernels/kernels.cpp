#include "core/kernels/kernels.h"

#include <cstdlib>
#include <string_view>

namespace flexae {
namespace {

const Kernels& choose() {
  const char* asked = std::getenv("FLEXAE_KERNELS");
  const std::string_view limit = asked != nullptr ? asked : "";
  if (limit != "baseline") {
    const Kernels* avx512 = avx512_kernels();
    if (avx512 != nullptr && limit != "avx2") return *avx512;
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
