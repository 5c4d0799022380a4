#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <tuple>

#include "core/tensor/scratch_buffer.h"
#include "test/core/cpu/kernels/kernels_support.h"

namespace flexae {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

class PoolingKernelsTest : public KernelsTest {};

TEST_P(PoolingKernelsTest, SpreadRowsDividesByFour) {
  constexpr int64_t width = 3;
  for (const int64_t channels : {1, 16, 37}) {
    const at::Tensor grad = at::randn({width, channels}).to(at::kBFloat16);
    const at::Tensor wide = grad.to(at::kFloat);
    at::Tensor rows = at::empty({2, 2 * width, channels});
    at::Tensor narrow = at::empty({2, 2 * width, channels}, at::kBFloat16);
    k().fp32.unpooling.spread_rows(values<float>(wide), mutable_values<float>(rows),
                                   mutable_values<float>(rows[1]), width, channels);
    k().bf16.unpooling.spread_rows(values<Bf16>(grad), mutable_values<Bf16>(narrow),
                                   mutable_values<Bf16>(narrow[1]), width, channels);
    const at::Tensor expected = (wide / 4).repeat_interleave(2, 0).expand({2, -1, -1});
    EXPECT_TRUE(rows.equal(expected));
    EXPECT_TRUE(narrow.equal(expected.to(at::kBFloat16)));
  }
}

TEST_P(PoolingKernelsTest, MaximumRowsTakesWhatAtenTakes) {
  constexpr int64_t width = 5;
  for (const int64_t channels : {1, 3, 16, 20, 37, 64}) {
    // Few different values: most have equals beside them.
    at::Tensor lines = at::randint(-2, 3, {2, 2 * width, channels}).to(at::kFloat);
    lines[1][2][0] = kNan;
    lines[0][4].fill_(kNan);
    lines.narrow(1, 6, 2).fill_(-kInfinity);
    at::Tensor out = at::empty({width, channels});
    at::Tensor which = at::full({width, channels}, 9, at::kByte);
    k().pooling.maximum_rows(values<float>(lines), values<float>(lines[1]),
                             mutable_values<float>(out), which.mutable_data_ptr<uint8_t>(), width,
                             channels);
    const auto [expected, indices] = at::max_pool2d_with_indices(
        lines.permute({2, 0, 1}).contiguous().unsqueeze(0), {2, 2}, {2, 2});
    const auto pixels = [&](const at::Tensor& t) { return t.view({channels, width}).t(); };
    EXPECT_TRUE(at::allclose(out, pixels(expected), 0, 0, /*equal_nan=*/true));
    // ATen's is a place in the image.
    const at::Tensor row = pixels(indices).div(2 * width, "floor");
    const at::Tensor places = 2 * row + pixels(indices).remainder(2);
    EXPECT_TRUE(which.to(at::kLong).equal(places)) << channels;

    at::Tensor without = at::empty_like(out);
    k().pooling.maximum_rows(values<float>(lines), values<float>(lines[1]),
                             mutable_values<float>(without), nullptr, width, channels);
    EXPECT_TRUE(at::allclose(without, out, 0, 0, /*equal_nan=*/true));
  }
}

TEST_P(PoolingKernelsTest, ScatterRowsGivesAllToOnePlace) {
  constexpr int64_t width = 5;
  for (const int64_t channels : {1, 3, 16, 20, 37, 64}) {
    const at::Tensor grad = at::randn({width, channels}).to(at::kBFloat16);
    const at::Tensor wide = grad.to(at::kFloat);
    const at::Tensor which = at::randint(0, 4, {width, channels}).to(at::kByte);
    at::Tensor rows = at::full({2, 2 * width, channels}, 7.0F);
    at::Tensor narrow = rows.to(at::kBFloat16);
    const auto* places = which.const_data_ptr<uint8_t>();
    k().fp32.unpooling.scatter_rows(values<float>(wide), places, mutable_values<float>(rows),
                                    mutable_values<float>(rows[1]), width, channels);
    k().bf16.unpooling.scatter_rows(values<Bf16>(grad), places, mutable_values<Bf16>(narrow),
                                    mutable_values<Bf16>(narrow[1]), width, channels);
    at::Tensor expected = at::zeros_like(rows);
    for (int64_t place = 0; place < 4; ++place) {
      expected[place / 2].slice(0, place % 2, 2 * width, 2).copy_(wide * which.eq(place));
    }
    EXPECT_TRUE(rows.equal(expected));
    EXPECT_TRUE(narrow.equal(expected.to(at::kBFloat16)));
  }
}

INSTANTIATE_TEST_SUITE_P(Sets, PoolingKernelsTest, sets(), set_name);

}  // namespace
}  // namespace flexae
