#include "analysis/kernels/point_kernels.h"

#include "core/cpu/kernels/kernels.h"

namespace flexae {

const PointKernels& point_kernels() {
  // Registers of that many lanes are all that these loops ask of a set.
  static const PointKernels& chosen = [&]() -> const PointKernels& {
    const PointKernels* table = nullptr;
    if (kernels().lanes == 16) table = avx512_point_kernels();
    if (kernels().lanes == 8) table = avx2_point_kernels();
    return table != nullptr ? *table : *baseline_point_kernels();
  }();
  return chosen;
}

}  // namespace flexae
