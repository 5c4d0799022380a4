// The loops of kernels.h, a family a file, written so that the compiler vectorizes them for
// whatever instruction set the including file is compiled for. Everything is static and free of the
// standard library's templates: an inline function compiled for AVX-512 must never be the copy that
// the linker keeps for everyone.

#include "core/cpu/kernels/kernels.h"
#include "core/cpu/kernels/loops/convolve.h"
#include "core/cpu/kernels/loops/elementwise.h"
#include "core/cpu/kernels/loops/images.h"
#include "core/cpu/kernels/loops/loss.h"
#include "core/cpu/kernels/loops/norm.h"
#include "core/cpu/kernels/loops/optimizers.h"
#include "core/cpu/kernels/loops/pooling.h"
#include "core/cpu/kernels/loops/simd.h"
#include "core/cpu/kernels/loops/weight_gradient.h"
#include "core/cpu/kernels/loops/winograd.h"

namespace flexae {
namespace {

template <typename T>
constexpr ProductKernels<T> make_product_kernels() {
  if constexpr (Multiplies<T>::value) {
    return {
        .convolve = convolve<T, T>,
        .convolve_wide = convolve<T, float>,
        .dots = dots<T>,
        .add_weight_gradient = add_weight_gradient<T>,
        .convolve_fetching = convolve_fetching<T>,
        .add_weight_gradient_fetching = add_weight_gradient_fetching<T>,
        .convolve_before = convolve_before<T>,
    };
  } else {
    return {};
  }
}

template <typename T>
constexpr ValueKernels<T> make_value_kernels() {
  return {
      .products = make_product_kernels<T>(),
      .norm = make_norm_kernels<T>(),
      .winograd_2d = make_winograd_2d_kernels<T>(),
      .elementwise = make_elementwise_kernels<T>(),
      .unpooling = make_unpooling_kernels<T>(),
  };
}

constexpr Kernels make_kernels(const char* name) {
  return {
      .name = name,
      .lanes = kLanes,
      .fp32 = make_value_kernels<float>(),
      .bf16 = make_value_kernels<Bf16>(),
      .winograd_1d = make_winograd_1d_kernels(),
      .sums = make_sum_kernels(),
      .pooling = make_pooling_kernels(),
      .pairs = make_pair_kernels(),
      .images = make_image_kernels(),
      .loss = make_loss_kernels(),
      .optimizers = make_optimizer_kernels(),
  };
}

}  // namespace
}  // namespace flexae
