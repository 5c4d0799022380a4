#include "core/cpu/winograd_2d.h"

#include <gtest/gtest.h>

#include <utility>

#include "test/core/cpu/products.h"

namespace flexae {
namespace {

using test::compare_products;

/// Grids of odd and even sizes, fewer and more tiles than a block, one to seven taps in a phase.
template <typename T>
void compare_winograd(double tolerance) {
  const int64_t lanes = kernels().lanes;
  for (const int64_t kernel : {1, 2, 3, 4, 5, 7}) {
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
          // The reference would take long.
          if (kernel > 3 * stride && width > 100) continue;
          ASSERT_TRUE(Winograd<T>::supports(geometry));
          compare_products<T>(geometry, Convolution<T>::Algorithm::kWinograd, tolerance);
        }
      }
    }
  }
  // Channels that leave registers in part empty, an odd number of them, too.
  for (const auto& [grid_channels, channels] : {std::pair<int64_t, int64_t>{lanes, lanes + 1},
                                                {lanes + 5, lanes},
                                                {3 * lanes - 1, lanes + 3}}) {
    for (const auto& [kernel, stride] :
         {std::pair<int64_t, int64_t>{3, 1}, {5, 2}, {4, 1}, {2, 3}}) {
      ConvGeometry geometry;
      geometry.grid_h = 7;
      geometry.grid_w = 12;
      geometry.grid_channels = grid_channels;
      geometry.channels = channels;
      geometry.kernel = kernel;
      geometry.stride = stride;
      geometry.lead = 1;
      ASSERT_TRUE(Winograd<T>::supports(geometry));
      compare_products<T>(geometry, Convolution<T>::Algorithm::kWinograd, tolerance);
    }
  }
  // Large windows, in more than one block of few tiles.
  for (const auto& [kernel, stride] : {std::pair<int64_t, int64_t>{15, 1}, {15, 2}, {10, 1}}) {
    ConvGeometry geometry;
    geometry.grid_h = 9;
    geometry.grid_w = 12;
    geometry.grid_channels = 2 * lanes;
    geometry.channels = 3 * lanes;
    geometry.kernel = kernel;
    geometry.stride = stride;
    geometry.lead = 1;
    compare_products<T>(geometry, Convolution<T>::Algorithm::kWinograd, tolerance);
  }
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
  geometry.kernel = 15;
  geometry.stride = 1;
  EXPECT_TRUE(Winograd<float>::is_profitable(geometry));
  // So large that its combinations come from memory.
  geometry.kernel = 31;
  EXPECT_FALSE(Winograd<float>::is_profitable(geometry));
  // Two taps save too little for few channels.
  geometry.grid_channels = geometry.channels = 16;
  geometry.kernel = 2;
  EXPECT_FALSE(Winograd<float>::is_profitable(geometry));
  // Not one whole register.
  geometry.channels = 1;
  EXPECT_FALSE(Winograd<float>::supports(geometry));
}

}  // namespace
}  // namespace flexae
