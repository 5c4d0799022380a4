#pragma once

#include <ATen/ATen.h>
#include <ATen/DeviceAccelerator.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "core/device/device.h"

// These tests run on the device that FLEXAE_TEST_DEVICE names: a GPU, or the CPU, where the same
// operations run on the same fixed memory, so that a mistake in a test costs no time on a GPU.

namespace flexae {

inline std::string test_device_name() {
  const char* name = std::getenv("FLEXAE_TEST_DEVICE");
  return name == nullptr || *name == '\0' ? "cuda" : name;
}

inline at::Device test_device() {
  static const at::Device device = resolve_device(test_device_name());
  return device;
}

/// Products as exact as fp32 allows, by algorithms that give the same sums again.
class DeviceTest : public testing::Test {
 protected:
  void SetUp() override {
    (void)test_device();
    exact();
    at::manual_seed(5);
    // oneDNN takes no fp64, which is what the CPU is asked for here.
    at::globalContext().setUserEnabledMkldnn(false);
  }
  void TearDown() override {
    at::globalContext().setUserEnabledMkldnn(true);
    if (!test_device().is_cpu()) at::accelerator::emptyCache();
  }

  /// After whatever calls tune_device().
  static void exact() {
    at::globalContext().setAllowTF32CuDNN(false);
    at::globalContext().setAllowTF32CuBLAS(false);
    at::globalContext().setBenchmarkCuDNN(false);
    at::globalContext().setDeterministicCuDNN(true);
  }

 private:
  c10::NoGradGuard no_grad_;
};

/// ‖got − expected‖ / ‖expected‖, in fp64 on the CPU; NaN where either has one.
inline double distance(const at::Tensor& got, const at::Tensor& expected) {
  const at::Tensor a = got.cpu().to(at::kDouble);
  const at::Tensor b = expected.cpu().to(at::kDouble);
  const double size = b.norm().item<double>();
  const double error = (a - b).norm().item<double>();
  return size > 0 ? error / size : error;
}

}  // namespace flexae
