#pragma once

#include <c10/core/Device.h>

#include <string>

namespace flexae {

/// What matrix products and convolutions compute in. Weights, optimizer state, batch-normalization
/// statistics and the loss are fp32 in both.
enum class Precision { kFp32, kBf16 };

/// auto, fp32 or bf16. auto takes bf16 where the device computes it natively: AMX or AVX512-BF16 on
/// a CPU, compute capability 8.0 on a GPU. Throws Error(kConfig) for another name.
Precision resolve_precision(const std::string& name, c10::Device device);

/// "fp32" or "bf16"
const char* precision_name(Precision precision);

}  // namespace flexae
