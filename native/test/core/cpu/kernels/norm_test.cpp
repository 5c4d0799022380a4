#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "core/layers/activation.h"
#include "core/tensor/scratch_buffer.h"
#include "test/core/cpu/kernels/kernels_support.h"

namespace flexae {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)

class NormKernelsTest : public KernelsTest {};

TEST_P(NormKernelsTest, AffineActivateIsAccurateOverTheWholeRange) {
  at::Tensor x = at::cat({at::linspace(-100, 85, kCount - 2000), at::linspace(-1, 1, 2000)});
  const at::Tensor scale = at::rand({kPeriod}) + 0.5;
  const at::Tensor shift = at::rand({kPeriod}) * 1e-3;
  for (const Activation activation : kActivations) {
    at::Tensor y = at::empty_like(x);
    k().fp32.norm.affine_activate(x.data_ptr<float>(), y.data_ptr<float>(), kCount,
                                  scale.data_ptr<float>(), shift.data_ptr<float>(), kPeriod,
                                  activation);
    // z in fp32, as the kernel has it: a large exponent magnifies the rounding of z itself.
    const at::Tensor z = x * by_channel(scale) + by_channel(shift);
    const at::Tensor expected = activate(as_double(z), activation);
    const at::Tensor finite = expected.abs() < 1e30;
    EXPECT_LT(error(y.masked_select(finite), expected.masked_select(finite)),
              activation == Activation::kExponential ? 2e-5 : 1e-6)
        << static_cast<int>(activation);
  }
}

TEST_P(NormKernelsTest, NormBackwardSumsAndApplyFollowTheirDefinition) {
  const at::Tensor x = at::randn({kCount}) * 3;
  const at::Tensor dy = at::randn({kCount});
  const at::Tensor scale = at::rand({kPeriod}) + 0.5;
  const at::Tensor shift = at::randn({kPeriod});
  const at::Tensor center = at::randn({kPeriod});
  for (const Activation activation : kActivations) {
    const at::Tensor z = as_double(x) * as_double(by_channel(scale)) + as_double(by_channel(shift));
    const at::Tensor dz = activate_backward(as_double(dy), z, activate(z, activation), activation);
    at::Tensor s1 = at::ones({kPeriod});
    at::Tensor s2 = at::ones({kPeriod});
    k().fp32.norm.backward_sums(x.data_ptr<float>(), dy.data_ptr<float>(), kCount,
                                scale.data_ptr<float>(), shift.data_ptr<float>(),
                                center.data_ptr<float>(), kPeriod, activation, s1.data_ptr<float>(),
                                s2.data_ptr<float>());
    const at::Tensor padded = at::constant_pad_nd(dz, {0, (kRows + 1) * kPeriod - kCount});
    const at::Tensor centered = at::constant_pad_nd(
        dz * (as_double(x) - as_double(by_channel(center))), {0, (kRows + 1) * kPeriod - kCount});
    const at::Tensor e1 = padded.view({-1, kPeriod}).sum(0) + 1;
    const at::Tensor e2 = centered.view({-1, kPeriod}).sum(0) + 1;
    EXPECT_LT(error(s1, e1), 1e-4) << static_cast<int>(activation);
    EXPECT_LT(error(s2, e2), 1e-4) << static_cast<int>(activation);

    at::Tensor dx = at::empty_like(x);
    k().fp32.norm.backward_apply(x.data_ptr<float>(), dy.data_ptr<float>(), dx.data_ptr<float>(),
                                 kCount, scale.data_ptr<float>(), shift.data_ptr<float>(),
                                 center.data_ptr<float>(), scale.data_ptr<float>(),
                                 shift.data_ptr<float>(), kPeriod, activation);
    const at::Tensor expected = as_double(by_channel(center)) * dz +
                                as_double(by_channel(scale)) * as_double(x) +
                                as_double(by_channel(shift));
    EXPECT_LT(error(dx, expected), 2e-5) << static_cast<int>(activation);
  }
}

TEST_P(NormKernelsTest, MomentsFollowTheirDefinition) {
  const at::Tensor x = at::randn({kCount}) + 5;
  const at::Tensor center = at::full({kPeriod}, 5.0F);
  at::Tensor s1 = at::zeros({kPeriod});
  at::Tensor s2 = at::zeros({kPeriod});
  k().fp32.norm.moments(x.data_ptr<float>(), kCount, center.data_ptr<float>(), kPeriod,
                        s1.data_ptr<float>(), s2.data_ptr<float>());
  const at::Tensor d = at::constant_pad_nd(as_double(x) - 5, {0, (kRows + 1) * kPeriod - kCount})
                           .view({-1, kPeriod});
  EXPECT_LT(error(s1, d.sum(0)), 1e-4);
  EXPECT_LT(error(s2, d.square().sum(0)), 1e-4);
}

TEST_P(NormKernelsTest, NotANumberGoesThrough) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> one(32, 1.0F);
  const std::vector<float> zero(32, 0.0F);
  std::vector<float> x(32, nan);
  std::vector<float> y(32);
  for (const Activation activation : kActivations) {
    k().fp32.norm.affine_activate(x.data(), y.data(), 32, one.data(), zero.data(), 32, activation);
    EXPECT_TRUE(std::isnan(y[7])) << static_cast<int>(activation);
  }
  double sums[3] = {};
  k().loss.bce(x.data(), zero.data(), y.data(), 32, 1.0F, sums);
  EXPECT_TRUE(std::isnan(sums[0]));
  EXPECT_TRUE(std::isnan(y[7]));
}

/// What loops over bf16 compute is what those over fp32 compute of the same values, rounded at the
/// end if bf16 is what they write. Their exponentials may be off by 2⁻¹³, far less than bf16 is.
TEST_P(NormKernelsTest, LoopsOverBf16ComputeInFp32) {
  const at::Tensor x = (at::randn({kCount}) * 3).to(at::kBFloat16);
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor dy16 = at::randn({kCount}).to(at::kBFloat16);
  const at::Tensor dy = dy16.to(at::kFloat);
  const at::Tensor scale = at::rand({kPeriod}) + 0.5;
  const at::Tensor shift = at::randn({kPeriod});
  const auto* a = values<float>(scale);
  const auto* b = values<float>(shift);
  const auto expect_same = [](const at::Tensor& got, const at::Tensor& expected) {
    EXPECT_LT(error(got, as_double(expected)), 1e-5);
  };
  // A value on the edge may round to either side, which is at most 2⁻⁸.
  const auto expect_rounded = [](const at::Tensor& got, const at::Tensor& expected) {
    const at::Tensor size = as_double(expected).abs();
    const at::Tensor edge = (as_double(got) - as_double(expected)).abs() - size * 0x1p-8;
    EXPECT_LT(edge.max().item<double>(), 0x1p-13 * size.max().item<double>());
  };
  for (const Activation activation : {Activation::kElu, Activation::kTanh}) {
    at::Tensor expected = at::empty({kCount});
    at::Tensor got = at::empty({kCount});
    at::Tensor narrow = at::empty({kCount}, at::kBFloat16);
    k().fp32.norm.affine_activate(values<float>(wide), mutable_values<float>(expected), kCount, a,
                                  b, kPeriod, activation);
    k().bf16.norm.affine_activate_wide(values<Bf16>(x), mutable_values<float>(got), kCount, a, b,
                                       kPeriod, activation);
    k().bf16.norm.affine_activate(values<Bf16>(x), mutable_values<Bf16>(narrow), kCount, a, b,
                                  kPeriod, activation);
    expect_same(got, expected);
    expect_rounded(narrow, expected);

    k().fp32.norm.backward_apply(values<float>(wide), values<float>(dy),
                                 mutable_values<float>(expected), kCount, a, b, a, b, a, kPeriod,
                                 activation);
    k().bf16.norm.backward_apply(values<Bf16>(x), values<Bf16>(dy16), mutable_values<Bf16>(narrow),
                                 kCount, a, b, a, b, a, kPeriod, activation);
    expect_rounded(narrow, expected);

    at::Tensor sums = at::zeros({2, kPeriod});
    at::Tensor wide_sums = at::zeros({2, kPeriod});
    const auto half = [](const at::Tensor& t, int64_t i) { return mutable_values<float>(t[i]); };
    k().fp32.norm.backward_sums(values<float>(wide), values<float>(dy), kCount, a, b, a, kPeriod,
                                activation, half(wide_sums, 0), half(wide_sums, 1));
    k().bf16.norm.backward_sums(values<Bf16>(x), values<Bf16>(dy16), kCount, a, b, a, kPeriod,
                                activation, half(sums, 0), half(sums, 1));
    EXPECT_LT(error(sums, as_double(wide_sums)), 1e-3);
    k().fp32.norm.moments(values<float>(wide), kCount, a, kPeriod, half(wide_sums, 0),
                          half(wide_sums, 1));
    k().bf16.norm.moments(values<Bf16>(x), kCount, a, kPeriod, half(sums, 0), half(sums, 1));
    EXPECT_LT(error(sums, as_double(wide_sums)), 1e-4);
  }
  at::Tensor four = at::empty({kCount - 7}, at::kBFloat16);
  at::Tensor wide_four = at::empty({kCount - 7});
  k().fp32.elementwise.add_four(values<float>(wide), values<float>(dy),
                                mutable_values<float>(wide_four), kCount - 7, 7);
  k().bf16.elementwise.add_four(values<Bf16>(x), values<Bf16>(dy16), mutable_values<Bf16>(four),
                                kCount - 7, 7);
  expect_rounded(four, wide_four);
  k().bf16.elementwise.add_four_of_wide(values<float>(wide), values<float>(dy),
                                        mutable_values<Bf16>(four), kCount - 7, 7);
  expect_rounded(four, wide_four);
}

/// What goes through a mean over four pixels at once is what goes through one loop after the other.
TEST_P(NormKernelsTest, MeansAreWhatActivatingAndPoolingGive) {
  constexpr int64_t width = 5;
  const int64_t channels = 3 * k().lanes;
  const int64_t period = 2 * channels;
  const int64_t row = 2 * width * channels;
  const at::Tensor x = at::randn({2, row}) * 2;
  const at::Tensor grad = at::randn({width, channels});
  // Two periods in a row, of which the means take the first.
  const auto periodic = [&](const at::Tensor& t) { return t.repeat({2}); };
  const at::Tensor a = periodic(at::rand({channels}) + 0.5);
  const at::Tensor b = periodic(at::randn({channels}));
  const at::Tensor c = periodic(at::randn({channels}));
  const auto* scale = values<float>(a);
  const auto* shift = values<float>(b);
  const auto* dx_offset = values<float>(c);
  for (const Activation activation : {Activation::kElu, Activation::kRelu, Activation::kTanh}) {
    at::Tensor lines = at::empty_like(x);
    k().fp32.norm.affine_activate(values<float>(x), mutable_values<float>(lines), 2 * row, scale,
                                  shift, period, activation);
    at::Tensor pooled = at::empty({width, channels});
    k().pooling.average_rows(values<float>(lines), values<float>(lines[1]),
                             mutable_values<float>(pooled), width, channels, 0.25F);
    at::Tensor got = at::empty_like(pooled);
    k().fp32.norm.average_activated(values<float>(x), values<float>(x[1]),
                                    mutable_values<float>(got), width, channels, scale, shift,
                                    activation);
    EXPECT_LT(error(got, as_double(pooled)), 1e-6);

    at::Tensor spread = at::empty_like(x);
    k().fp32.unpooling.spread_rows(values<float>(grad), mutable_values<float>(spread),
                                   mutable_values<float>(spread[1]), width, channels);
    at::Tensor sums = at::ones({2, period});
    at::Tensor expected_sums = at::ones({2, period});
    k().fp32.norm.backward_sums(values<float>(x), values<float>(spread), 2 * row, scale, shift,
                                dx_offset, period, activation, mutable_values<float>(expected_sums),
                                mutable_values<float>(expected_sums[1]));
    k().fp32.norm.averaged_backward_sums(
        values<float>(x), values<float>(x[1]), values<float>(grad), width, channels, scale, shift,
        dx_offset, activation, mutable_values<float>(sums), mutable_values<float>(sums[1]));
    const auto by_channels = [&](const at::Tensor& t) { return t.view({2, 2, channels}).sum(1); };
    EXPECT_LT(error(by_channels(sums), as_double(by_channels(expected_sums))), 1e-5);

    at::Tensor dx = at::empty_like(x);
    at::Tensor expected_dx = at::empty_like(x);
    k().fp32.norm.backward_apply(values<float>(x), values<float>(spread),
                                 mutable_values<float>(expected_dx), 2 * row, scale, shift, scale,
                                 shift, dx_offset, period, activation);
    k().fp32.norm.averaged_backward_apply(values<float>(x), values<float>(x[1]),
                                          values<float>(grad), mutable_values<float>(dx),
                                          mutable_values<float>(dx[1]), width, channels, scale,
                                          shift, scale, shift, dx_offset, activation);
    EXPECT_LT(error(dx, as_double(expected_dx)), 1e-6);
  }
}

INSTANTIATE_TEST_SUITE_P(Sets, NormKernelsTest, sets(), set_name);

}  // namespace
}  // namespace flexae
