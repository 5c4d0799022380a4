#pragma once

#include <cstdint>

namespace flexae {

/// Loops over single points of fp32, a table for each instruction set.
struct PointKernels {
  /// Of each of `rows` rows of products with centres, x·c, `width` apart and `width` many (a
  /// multiple of the registers' lanes): the greatest and the second greatest x·c − ½|c|², which
  /// belong to the nearest and the second nearest centre, and the place of the greatest, the first
  /// if there are several. `half_norms` holds ½|c|², infinity where there is no centre.
  void (*best_two)(const float* products, int64_t rows, int64_t width, const float* half_norms,
                   float* best, int32_t* place, float* second);

  /// Σ (a[i] − b[i])², for i < n. Of equal points it is exactly 0.
  float (*squared_distance)(const float* a, const float* b, int64_t n);

  /// Σ √(norm + norms[i] − 2·products[i]), for i < n: distances of a point to others by their
  /// squared lengths and products. What is below `rounding` of the two lengths is 0.
  double (*sum_of_distances)(const double* products, const double* norms, double norm,
                             double rounding, int64_t n);
};

/// The table for the instructions that kernels() computes with.
const PointKernels& point_kernels();

/// Each table, or null where it was not compiled or the processor lacks the instructions.
const PointKernels* baseline_point_kernels();
const PointKernels* avx2_point_kernels();
const PointKernels* avx512_point_kernels();

}  // namespace flexae
