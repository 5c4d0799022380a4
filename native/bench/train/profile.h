#pragma once

#include <ATen/core/Tensor.h>

#include "core/train/benchmark.h"
#include "train/settings.h"

namespace flexae::bench {

/// Until the device has done what it was sent.
void wait_for(at::Device device);

/// Steps under Kineto, libtorch's profiler: writes a Chrome trace, and prints tables by layer and
/// by kernel (on a CPU by operation).
void profile(Benchmark& bench, const Settings& settings);

}  // namespace flexae::bench
