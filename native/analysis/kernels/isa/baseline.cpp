#include "analysis/kernels/loops.h"

namespace flexae {

const PointKernels* baseline_point_kernels() {
  static constexpr PointKernels table = make_point_kernels();
  return &table;
}

}  // namespace flexae
