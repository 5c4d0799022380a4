#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <type_traits>
#include <vector>

#include "core/tensor/scratch_buffer.h"
#include "test/core/cpu/kernels/kernels_support.h"

namespace flexae {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)

/// Against the normal distribution in fp64.
class GeluKernelsTest : public KernelsTest {
 protected:
  template <typename T>
  const ValueKernels<T>& loops() {
    if constexpr (std::is_same_v<T, float>) {
      return k().fp32;
    } else {
      return k().bf16;
    }
  }

  /// gelu(z) by loops over T, written as fp32.
  template <typename T>
  at::Tensor forward(const at::Tensor& z) {
    at::Tensor y = at::empty(z.sizes(), at::kFloat);
    loops<T>().norm.affine_activate_wide(values<T>(z), mutable_values<float>(y), z.numel(),
                                         one_.data(), zero_.data(), kPeriod, Activation::kGelu);
    return y.to(at::kDouble);
  }

  /// gelu'(z) by loops over fp32, or as they round it to bf16.
  template <typename T>
  at::Tensor slope(const at::Tensor& z) {
    const at::Tensor dy = at::ones_like(z);
    at::Tensor dx = at::empty_like(z);
    loops<T>().norm.backward_apply(values<T>(z), values<T>(dy), mutable_values<T>(dx), z.numel(),
                                   one_.data(), zero_.data(), one_.data(), zero_.data(),
                                   zero_.data(), kPeriod, Activation::kGelu);
    return dx.to(at::kDouble);
  }

 private:
  std::vector<float> one_ = std::vector<float>(kPeriod, 1.0F);
  std::vector<float> zero_ = std::vector<float>(kPeriod, 0.0F);
};

/// Φ(z); erfc keeps its digits far below zero.
at::Tensor cdf(const at::Tensor& z) {
  return 0.5 * at::special_erfc(-z / std::sqrt(2.0));
}

at::Tensor density(const at::Tensor& z) {
  return at::exp(-0.5 * z * z) / std::sqrt(2 * M_PI);
}

/// Every distance from zero, and more values than fill whole registers and periods.
at::Tensor points() {
  return at::cat({at::linspace(-20, 20, 40001), at::linspace(-1e-3, 1e-3, 1001)});
}

double largest(const at::Tensor& t) {
  return t.abs().max().item<double>();
}

TEST_P(GeluKernelsTest, IsTheNormalDistributionsInFp32) {
  const at::Tensor z = points();
  const at::Tensor wide = z.to(at::kDouble);
  const at::Tensor expected = wide * cdf(wide);
  // Near zero and above, a few units in the last place; below, of what cancels at zero.
  const at::Tensor off = forward<float>(z) - expected;
  EXPECT_LT(largest(off / expected.abs().clamp_min(1.0)), 2e-7);
  const at::Tensor near = wide.abs() < 1;
  EXPECT_LT(largest((off / wide).masked_select(near.logical_and(wide != 0))), 2e-7);
  EXPECT_LT(largest(slope<float>(z) - cdf(wide) - wide * density(wide)), 3e-7);
}

TEST_P(GeluKernelsTest, IsAsFineAsBf16Needs) {
  const at::Tensor z = points().to(at::kBFloat16);
  const at::Tensor wide = z.to(at::kDouble);
  const at::Tensor expected = wide * cdf(wide);
  EXPECT_LT(largest((forward<Bf16>(z) - expected) / expected.abs().clamp_min(1.0)), 0x1p-13);
  const at::Tensor steep = cdf(wide) + wide * density(wide);
  const at::Tensor beyond = (slope<Bf16>(z) - steep).abs() - steep.abs() * 0x1p-8;
  EXPECT_LT(beyond.max().item<double>(), 0x1p-13);
}

TEST_P(GeluKernelsTest, IsAsItsLimitsAtInfinity) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  constexpr float kMax = std::numeric_limits<float>::max();
  // All in whole registers.
  for (const float large : {1e3F, kMax, kInf}) {
    const at::Tensor above = at::full({kPeriod}, large);
    EXPECT_TRUE(forward<float>(above).eq(static_cast<double>(large)).all().item<bool>()) << large;
    EXPECT_LT(largest(forward<float>(-above)), 1e-30) << large;
    EXPECT_TRUE(slope<float>(at::full({kPeriod}, 1e3F)).eq(1.0).all().item<bool>());
    EXPECT_LT(largest(slope<float>(at::full({kPeriod}, -1e3F))), 1e-30);
  }
}

INSTANTIATE_TEST_SUITE_P(Sets, GeluKernelsTest, sets(), set_name);

}  // namespace
}  // namespace flexae
