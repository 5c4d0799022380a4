#include "core/cpu/winograd_1d.h"

#include <gtest/gtest.h>

#include <utility>

#include "test/core/cpu/products.h"

namespace flexae {
namespace {

using test::compare_products;

TEST(LineWinograd, ProductsAreAtens) {
  if (kernels().winograd_1d.convolve_lines == nullptr)
    GTEST_SKIP() << "this processor has few registers";
  for (const auto& [kernel, stride] : {std::pair<int64_t, int64_t>{3, 1}, {5, 2}, {6, 2}, {7, 3}}) {
    for (const int64_t channels : {1, 3, 8}) {
      // Whole panels, halves and parts of them.
      for (const int64_t grid_channels : {11, 32, 55}) {
        for (const auto& [height, width] :
             {std::pair<int64_t, int64_t>{1, 1}, {4, 6}, {7, 5}, {11, 110}}) {
          for (const int64_t lead : {0, 2}) {
            ConvGeometry geometry;
            geometry.grid_h = height;
            geometry.grid_w = width;
            geometry.grid_channels = grid_channels;
            geometry.channels = channels;
            geometry.kernel = kernel;
            geometry.stride = stride;
            geometry.lead = lead;
            ASSERT_TRUE(LineWinograd::supports(geometry));
            compare_products<float>(geometry, Convolution<float>::Algorithm::kLines, 4e-6);
          }
        }
      }
    }
  }
}

TEST(LineWinograd, IsTakenWhereItPays) {
  if (kernels().winograd_1d.convolve_lines == nullptr)
    GTEST_SKIP() << "this processor has few registers";
  ConvGeometry geometry;
  geometry.grid_channels = 32;
  geometry.channels = 3;
  geometry.kernel = 5;
  geometry.stride = 2;
  EXPECT_TRUE(LineWinograd::is_profitable(geometry));
  geometry.channels = 32;
  EXPECT_FALSE(LineWinograd::is_profitable(geometry));
  geometry.kernel = 4;
  EXPECT_FALSE(LineWinograd::supports(geometry));
}

}  // namespace
}  // namespace flexae
