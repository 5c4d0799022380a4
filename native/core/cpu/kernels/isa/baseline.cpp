#include "core/cpu/kernels/loops.h"

namespace flexae {

const Kernels* baseline_kernels() {
  static constexpr Kernels set = make_kernels("baseline");
  return &set;
}

}  // namespace flexae
