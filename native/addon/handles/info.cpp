#include "addon/handles/info.h"

#include <ATen/Version.h>

#include <fstream>
#include <string>

#include "core/base/cpu_info.h"
#include "core/base/error.h"
#include "core/comm/process_group.h"
#include "core/cpu/kernels/kernels.h"
#include "core/device/device.h"
#include "data/decode.h"

namespace flexae::addon {
namespace {

/// Of the libtorch that is loaded, which may be another than the one compiled against.
std::string loaded_torch() {
  const std::string config = at::show_config();
  constexpr std::string_view kKey = "TORCH_VERSION=";
  const size_t at = config.find(kKey);
  if (at == std::string::npos) return "";
  const size_t begin = at + kKey.size();
  return config.substr(begin, config.find_first_of(", \n", begin) - begin);
}

std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "";
}

}  // namespace

Napi::Value versions(const Napi::CallbackInfo& info) {
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("addon", FLEXAE_VERSION);
  object.Set("torch", loaded_torch());
  object.Set("torchBuild", FLEXAE_TORCH_BUILD_VERSION);
  object.Set("opencv", opencv_version());
  object.Set("compiler", "g++ " __VERSION__);
  return object;
}

Napi::Value hardware(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Object cpu = Napi::Object::New(env);
  cpu.Set("name", cpu_name());
  cpu.Set("cores", available_cores());
  cpu.Set("capability", at::get_cpu_capability());
  cpu.Set("avx2", cpu_features().avx2);
  cpu.Set("avx512", cpu_features().avx512);
  cpu.Set("avx512Bf16", cpu_features().avx512_bf16);
  cpu.Set("amxBf16", cpu_features().amx_bf16);
  try {
    cpu.Set("kernels", kernels().name);
    cpu.Set("kernelsProblem", "");
  } catch (const Error& error) {
    cpu.Set("kernels", "");
    cpu.Set("kernelsProblem", error.what());
  }

  Napi::Object cuda = Napi::Object::New(env);
  cuda.Set("built", cuda_built());
  cuda.Set("problem", cuda_problem());
  Napi::Array devices = Napi::Array::New(env);
  for (const CudaDevice& device : cuda_devices()) {
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("index", device.index);
    entry.Set("name", device.name);
    entry.Set("memoryBytes", static_cast<double>(device.memory_bytes));
    entry.Set("capability", device.capability);
    devices.Set(devices.Length(), entry);
  }
  cuda.Set("devices", devices);

  Napi::Object object = Napi::Object::New(env);
  object.Set("cpu", cpu);
  object.Set("cuda", cuda);
  object.Set("processesProblem", processes_problem());
  object.Set("ncclProblem", nccl_problem());
  return object;
}

}  // namespace flexae::addon
