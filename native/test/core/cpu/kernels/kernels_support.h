#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "core/cpu/kernels/kernels.h"

// What tests of the inner loops share.

namespace flexae::test {

inline constexpr Activation kActivations[] = {
    Activation::kLinear,   Activation::kRelu,        Activation::kElu,
    Activation::kSelu,     Activation::kGelu,        Activation::kTanh,
    Activation::kSigmoid,  Activation::kSoftplus,    Activation::kHardSigmoid,
    Activation::kSoftsign, Activation::kExponential, Activation::kSilu,
    Activation::kLeakyRelu};

/// Each set that this processor can run, against ATen in fp64.
class KernelsTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    at::manual_seed(11);
    const std::string name = GetParam();
    if (name == "baseline") set_ = baseline_kernels();
    if (name == "avx2") set_ = avx2_kernels();
    if (name == "avx512") set_ = avx512_kernels();
    if (name == "avx512bf16") set_ = avx512bf16_kernels();
    if (set_ == nullptr) GTEST_SKIP() << "this processor has no " << name;
  }
  const Kernels& k() { return *set_; }

 private:
  const Kernels* set_ = nullptr;
};

inline at::Tensor as_double(const at::Tensor& t) {
  return t.to(at::kDouble);
}

/// The largest error, absolute below 1 and relative above.
inline double error(const at::Tensor& got, const at::Tensor& expected) {
  return ((as_double(got) - expected).abs() / expected.abs().clamp_min(1.0)).max().item<double>();
}

inline constexpr int64_t kRows = 37;
inline constexpr int64_t kPeriod = 96;
// Beyond whole periods and whole vectors.
inline constexpr int64_t kCount = kRows * kPeriod + 41;

inline at::Tensor by_channel(const at::Tensor& values) {
  return values.repeat({kRows + 1}).slice(0, 0, kCount);
}

/// The sets of kernels there are, by name.
inline auto sets() {
  return testing::Values("baseline", "avx2", "avx512", "avx512bf16");
}

inline std::string set_name(const testing::TestParamInfo<std::string>& info) {
  return info.param;
}

}  // namespace flexae::test
