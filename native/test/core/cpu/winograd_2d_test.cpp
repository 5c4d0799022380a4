#include "core/cpu/winograd_2d.h"

#include <gtest/gtest.h>

#include <utility>

#include "test/core/cpu/products.h"

namespace flexae {
namespace {

using test::compare_products;

/// Grids of odd and even sizes, fewer and more tiles than a block, one to three taps in a phase.
template <typename T>
void compare_winograd(double tolerance) {
  const int64_t lanes = kernels().lanes;
  int compared = 0;
  for (const int64_t kernel : {1, 2, 3, 5, 7}) {
    for (const int64_t stride : {1, 2, 3, 4}) {
      for (const auto& [height, width] :
           {std::pair<int64_t, int64_t>{1, 1}, {4, 6}, {7, 5}, {13, 110}}) {
        for (const int64_t lead : {0, 2}) {
          ConvGeometry geometry;
          geometry.grid_h = height;
          geometry.grid_w = width;
          geometry.grid_channels = 3 * lanes;
          geometry.channels = 2 * lanes;
          geometry.kernel = kernel;
          geometry.stride = stride;
          geometry.lead = lead;
          if (!Winograd<T>::supports(geometry)) continue;
          compare_products<T>(geometry, Convolution<T>::Algorithm::kWinograd, tolerance);
          ++compared;
        }
      }
    }
  }
  EXPECT_GT(compared, 50);
}

TEST(Winograd, ProductsAreAtens) {
  compare_winograd<float>(4e-6);
}

TEST(Winograd, ProductsOfBf16AreAtens) {
  if (kernels().bf16.products.convolve == nullptr)
    GTEST_SKIP() << "this processor does not multiply bf16";
  compare_winograd<Bf16>(3e-2);
}

TEST(Winograd, IsTakenWhereItPays) {
  ConvGeometry geometry;
  geometry.grid_h = geometry.grid_w = 32;
  geometry.grid_channels = 64;
  geometry.channels = 32;
  geometry.kernel = 5;
  geometry.stride = 2;
  EXPECT_TRUE(Winograd<float>::is_profitable(geometry));
  // Too few channels, and too many taps.
  geometry.channels = 1;
  EXPECT_FALSE(Winograd<float>::supports(geometry));
  geometry.channels = 32;
  geometry.kernel = 7;
  EXPECT_FALSE(Winograd<float>::supports(geometry));
}

}  // namespace
}  // namespace flexae
