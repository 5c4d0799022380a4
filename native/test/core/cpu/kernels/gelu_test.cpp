#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "core/cpu/kernels/kernels.h"
#include "core/tensor/scratch_buffer.h"

namespace flexae {
namespace {

constexpr int64_t kPeriod = 64;

/// Each set that this processor can run, against the normal distribution in fp64.
class GeluTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    const std::string name = GetParam();
    if (name == "baseline") set_ = baseline_kernels();
    if (name == "avx2") set_ = avx2_kernels();
    if (name == "avx512") set_ = avx512_kernels();
    if (name == "avx512bf16") set_ = avx512bf16_kernels();
    if (set_ == nullptr) GTEST_SKIP() << "this processor has no " << name;
  }
  template <typename T>
  const ValueKernels<T>& loops() {
    if constexpr (std::is_same_v<T, float>) {
      return set_->fp32;
    } else {
      return set_->bf16;
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
  const Kernels* set_ = nullptr;
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

TEST_P(GeluTest, IsTheNormalDistributionsInFp32) {
  const at::Tensor z = points();
  const at::Tensor wide = z.to(at::kDouble);
  const at::Tensor expected = wide * cdf(wide);
  // Near zero and above, a few units in the last place; below, of what cancels at zero.
  const at::Tensor error = forward<float>(z) - expected;
  EXPECT_LT(largest(error / expected.abs().clamp_min(1.0)), 2e-7);
  const at::Tensor near = wide.abs() < 1;
  EXPECT_LT(largest((error / wide).masked_select(near.logical_and(wide != 0))), 2e-7);
  EXPECT_LT(largest(slope<float>(z) - cdf(wide) - wide * density(wide)), 3e-7);
}

TEST_P(GeluTest, IsAsFineAsBf16Needs) {
  const at::Tensor z = points().to(at::kBFloat16);
  const at::Tensor wide = z.to(at::kDouble);
  const at::Tensor expected = wide * cdf(wide);
  EXPECT_LT(largest((forward<Bf16>(z) - expected) / expected.abs().clamp_min(1.0)), 0x1p-13);
  const at::Tensor steep = cdf(wide) + wide * density(wide);
  const at::Tensor error = (slope<Bf16>(z) - steep).abs() - steep.abs() * 0x1p-8;
  EXPECT_LT(error.max().item<double>(), 0x1p-13);
}

TEST_P(GeluTest, IsAsItsLimitsAtInfinity) {
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

INSTANTIATE_TEST_SUITE_P(Sets, GeluTest,
                         testing::Values("baseline", "avx2", "avx512", "avx512bf16"),
                         [](const auto& set) { return set.param; });

}  // namespace
}  // namespace flexae
