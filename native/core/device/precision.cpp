#include "core/device/precision.h"

#include <cstdlib>

#include "core/base/cpu_info.h"
#include "core/base/error.h"
#include "core/device/device.h"

namespace flexae {
namespace {

bool computes_bf16(c10::Device device) {
  if (device.is_cpu()) return cpu_features().amx_bf16 || cpu_features().avx512_bf16;
  for (const CudaDevice& known : cuda_devices()) {
    if (known.index == device.index()) return std::atoi(known.capability.c_str()) >= 8;
  }
  return false;
}

}  // namespace

Precision resolve_precision(const std::string& name, c10::Device device) {
  if (name == "fp32") return Precision::kFp32;
  if (name == "bf16") return Precision::kBf16;
  if (name == "auto") return computes_bf16(device) ? Precision::kBf16 : Precision::kFp32;
  throw Error(ErrorCode::kConfig,
              "Expected precision to be auto, fp32 or bf16 but received '" + name + "'");
}

const char* precision_name(Precision precision) {
  return precision == Precision::kBf16 ? "bf16" : "fp32";
}

}  // namespace flexae
