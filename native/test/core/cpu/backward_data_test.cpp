#include "core/cpu/backward_data.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/tensor/scratch_buffer.h"
#include "test/core/cpu/products.h"

namespace flexae {
namespace {

template <typename T>
class BackwardDataTest : public testing::Test {};

using Types = testing::Types<float, Bf16>;
TYPED_TEST_SUITE(BackwardDataTest, Types);

/// Images of a grid against ATen's transposed convolution in fp64.
template <typename T>
void compare(ConvGeometry geometry) {
  constexpr int64_t count = 2;
  geometry.image_h = geometry.lead + (geometry.grid_h - 1) * geometry.stride + geometry.kernel;
  geometry.image_w = geometry.lead + (geometry.grid_w - 1) * geometry.stride + geometry.kernel;
  SCOPED_TRACE("kernel " + std::to_string(geometry.kernel) + ", stride " +
               std::to_string(geometry.stride) + ", " + std::to_string(geometry.grid_channels) +
               " and " + std::to_string(geometry.channels) + " channels");
  const int64_t h = geometry.image_h;
  const int64_t v = geometry.image_w;
  BackwardData<T> backward_data(geometry);
  const ConvGeometry& w = geometry;
  const at::Tensor weight =
      at::randn({w.grid_channels, w.kernel, w.kernel, w.channels}).to(kScalarType<T>);
  backward_data.pack(values<T>(weight));
  const at::Tensor grid = test::zeros_before_slack(
      {count, w.grid_h + 2 * w.grid_border, w.bordered_w, w.grid_channels}, w.slack());
  const at::Tensor cells =
      grid.narrow(1, w.grid_border, w.grid_h).narrow(2, w.grid_border, w.grid_w).normal_();
  const at::Tensor stored = test::narrowed<T>(grid, w.slack());
  const at::Tensor images = at::zeros({count, w.image_h, w.image_w, w.channels});
  std::vector<float> scratch(static_cast<size_t>(backward_data.scratch_size()));
  backward_data.run(values<T>(stored), count, mutable_values<float>(images), scratch.data());

  const auto fp64 = [](const at::Tensor& t) {
    return t.permute({0, 3, 1, 2}).to(at::kDouble).contiguous();
  };
  const at::Tensor expected = at::conv_transpose2d(fp64(cells.to(kScalarType<T>)), fp64(weight), {},
                                                   {geometry.stride, geometry.stride});
  const at::Tensor got =
      images.narrow(1, w.lead, h - w.lead).narrow(2, w.lead, v - w.lead).permute({0, 3, 1, 2});
  const double largest = expected.abs().max().template item<double>();
  EXPECT_LT((got.to(at::kDouble) - expected).abs().max().template item<double>(), 3e-6 * largest);
}

TYPED_TEST(BackwardDataTest, IsAtensTransposedConvolution) {
  if (kernels_of<TypeParam>().products.convolve == nullptr)
    GTEST_SKIP() << "this processor does not multiply these values";
  at::manual_seed(21);
  // Few channels in the image and many, which go by other plans, and strides that leave pixels out.
  for (const int64_t channels : {1, 3, 8, 40}) {
    for (const int64_t grid_channels : {1, 11, 32}) {
      for (const int64_t kernel : {1, 2, 3, 5, 7}) {
        for (const int64_t stride : {1, 2, 3}) {
          ConvGeometry geometry;
          geometry.grid_h = 4;
          geometry.grid_w = 13;
          geometry.grid_channels = grid_channels;
          geometry.channels = channels;
          geometry.kernel = kernel;
          geometry.stride = stride;
          geometry.lead = kernel % 3;
          compare<TypeParam>(geometry);
        }
      }
    }
  }
}

}  // namespace
}  // namespace flexae
