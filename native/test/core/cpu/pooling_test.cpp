#include "core/cpu/pooling.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

#include "core/cpu/kernels/kernels.h"
#include "core/tensor/scratch_buffer.h"

namespace flexae {
namespace {

Shape pooled(const Shape& in) {
  return {in.c, (in.h + 1) / 2, (in.w + 1) / 2};
}

/// One image, H×W×C as the rows have it and C×H×W as ATen has it, in fp64.
at::Tensor planes(const at::Tensor& pixels) {
  return pixels.permute({2, 0, 1}).to(at::kDouble).contiguous().unsqueeze(0);
}

// Even and odd sides, a single row, a single column, channels that fill registers and that do not.
const Shape kShapes[] = {{5, 6, 8}, {3, 7, 5}, {32, 8, 6}, {16, 5, 7}, {4, 1, 6}, {4, 6, 1}};

/// An image through a pooling row by row, and a gradient back.
struct Pooled {
  Pooled(Pooling kind, const Shape& in) {
    const Shape out = pooled(in);
    const RowPooling pooling(kind, in, out);
    x = at::randn({in.h, in.w, in.c});
    y = at::empty({out.h, out.w, out.c});
    grad = at::randn({out.h, out.w, out.c});
    dx = at::empty_like(x);
    const at::Tensor argmax = at::empty(y.sizes(), at::kByte);
    for (int64_t row = 0; row < out.h; ++row) {
      EXPECT_EQ(pooling.rows_under(row), std::min<int64_t>(2, in.h - 2 * row));
      const int64_t under = 2 * row * in.w * in.c;
      const int64_t at = row * out.w * out.c;
      uint8_t* which = kind == Pooling::kMax ? argmax.mutable_data_ptr<uint8_t>() + at : nullptr;
      pooling.forward(values<float>(x) + under, row, mutable_values<float>(y) + at, which);
      pooling.backward(values<float>(grad) + at, row, mutable_values<float>(dx) + under, which);
    }
  }
  at::Tensor x, y, grad, dx;
};

TEST(RowPooling, AveragesAsAten) {
  at::manual_seed(3);
  for (const Shape& in : kShapes) {
    const Pooled p(Pooling::kAvg, in);
    const at::Tensor expected = at::avg_pool2d(planes(p.x), {2, 2}, {2, 2}, {0, 0},
                                               /*ceil_mode=*/true, /*count_include_pad=*/false);
    EXPECT_TRUE(at::allclose(planes(p.y), expected, 1e-6, 1e-6));
    const at::Tensor expected_dx = at::avg_pool2d_backward(
        planes(p.grad), planes(p.x), {2, 2}, {2, 2}, {0, 0}, /*ceil_mode=*/true,
        /*count_include_pad=*/false, std::nullopt);
    EXPECT_TRUE(at::allclose(planes(p.dx), expected_dx, 1e-6, 1e-6));
  }
}

TEST(RowPooling, TakesTheMaximaThatAtenTakes) {
  at::manual_seed(4);
  for (const Shape& in : kShapes) {
    const Pooled p(Pooling::kMax, in);
    const auto [expected, indices] = at::max_pool2d_with_indices(
        planes(p.x), {2, 2}, {2, 2}, {0, 0}, {1, 1}, /*ceil_mode=*/true);
    EXPECT_TRUE(planes(p.y).equal(expected));
    const at::Tensor expected_dx = at::max_pool2d_with_indices_backward(
        planes(p.grad), planes(p.x), {2, 2}, {2, 2}, {0, 0}, {1, 1}, /*ceil_mode=*/true, indices);
    EXPECT_TRUE(planes(p.dx).equal(expected_dx));
  }
}

TEST(RowPooling, SaysWhereTheKernelsAverage) {
  const int64_t lanes = kernels().lanes;
  const Shape in{2 * lanes, 7, 6};
  const RowPooling pooling(Pooling::kAvg, in, pooled(in));
  EXPECT_TRUE(pooling.averages_whole(0));
  EXPECT_FALSE(pooling.averages_whole(3)) << "the last row of an odd number is alone";
  const Shape few{lanes + 1, 6, 6};
  EXPECT_FALSE(RowPooling(Pooling::kAvg, few, pooled(few)).averages_whole(0));
  EXPECT_FALSE(RowPooling(Pooling::kMax, in, pooled(in)).averages_whole(0));
}

}  // namespace
}  // namespace flexae
