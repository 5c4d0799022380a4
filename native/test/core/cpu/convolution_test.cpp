#include "core/cpu/convolution.h"

#include <gtest/gtest.h>

#include "test/core/cpu/products.h"

namespace flexae {
namespace {

using test::compare_products;

template <typename T>
void compare_all(typename Convolution<T>::Algorithm algorithm, double tolerance) {
  for (const int64_t kernel : {1, 2, 3, 5, 7}) {
    for (const int64_t stride : {1, 2, 3, 4}) {
      for (const int64_t channels : {1, 3, 8, 20}) {
        for (const int64_t lead : {0, 2}) {
          ConvGeometry geometry;
          geometry.grid_h = 5;
          // Odd and even: bf16 takes cells by twos.
          geometry.grid_w = 21 + kernel % 2;
          geometry.grid_channels = 11;
          geometry.channels = channels;
          geometry.kernel = kernel;
          geometry.stride = stride;
          geometry.lead = lead;
          compare_products<T>(geometry, algorithm, tolerance);
        }
      }
    }
  }
}

TEST(Convolution, ProductsAreAtensForEveryWayOfComputingThem) {
  compare_all<float>(Convolution<float>::Algorithm::kInPlace, 2e-6);
}

TEST(Convolution, ProductsOfBf16AreAtensUnfolded) {
  compare_all<Bf16>(Convolution<Bf16>::Algorithm::kUnfolded, 2e-2);
}

TEST(Convolution, ProductsOfBf16AreAtensInPlace) {
  if (kernels().bf16.products.convolve == nullptr)
    GTEST_SKIP() << "this processor does not multiply bf16";
  compare_all<Bf16>(Convolution<Bf16>::Algorithm::kInPlace, 2e-2);
}

}  // namespace
}  // namespace flexae
