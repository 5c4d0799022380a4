#include "core/device/device.h"

#include <ATen/Context.h>
#include <ATen/Functions.h>
#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>

#include "core/base/error.h"

namespace flexae {
namespace {

/// The driver's library, without CUDA's headers: these six entry points have been stable since
/// CUDA 3 (the CUDA Driver API reference).
class Driver {
 public:
  static const Driver& get() {
    static const Driver driver;
    return driver;
  }

  [[nodiscard]] int count() const { return count_; }

  [[nodiscard]] CudaDevice describe(int index) const {
    CudaDevice device;
    device.index = index;
    int handle = 0;
    if (get_(&handle, index) != 0) return device;
    std::array<char, 256> name{};
    if (name_(name.data(), static_cast<int>(name.size()), handle) == 0) device.name = name.data();
    size_t bytes = 0;
    if (memory_(&bytes, handle) == 0) device.memory_bytes = static_cast<int64_t>(bytes);
    constexpr int kMajor = 75;  // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
    constexpr int kMinor = 76;
    int major = 0;
    int minor = 0;
    if (attribute_(&major, kMajor, handle) == 0 && attribute_(&minor, kMinor, handle) == 0) {
      device.capability = std::to_string(major) + "." + std::to_string(minor);
    }
    return device;
  }

 private:
  Driver() {
    void* library = ::dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return;
    int (*init)(unsigned) = nullptr;
    int (*device_count)(int*) = nullptr;
    const bool complete =
        find(library, "cuInit", init) && find(library, "cuDeviceGetCount", device_count) &&
        find(library, "cuDeviceGet", get_) && find(library, "cuDeviceGetName", name_) &&
        find(library, "cuDeviceTotalMem_v2", memory_) &&
        find(library, "cuDeviceGetAttribute", attribute_);
    if (!complete || init(0) != 0 || device_count(&count_) != 0) count_ = 0;
  }

  template <typename F>
  static bool find(void* library, const char* name, F& function) {
    function = reinterpret_cast<F>(::dlsym(library, name));
    return function != nullptr;
  }

  int count_ = 0;
  int (*get_)(int*, int) = nullptr;
  int (*name_)(char*, int, int) = nullptr;
  int (*memory_)(size_t*, int) = nullptr;
  int (*attribute_)(int*, int, int) = nullptr;
};

/// libtorch_cuda.so beside the libtorch_cpu.so that is loaded.
std::filesystem::path cuda_library() {
  Dl_info info{};
  if (::dladdr(reinterpret_cast<const void*>(&at::globalContext), &info) == 0 ||
      info.dli_fname == nullptr) {
    return {};
  }
  return std::filesystem::path(info.dli_fname).parent_path() / "libtorch_cuda.so";
}

std::string find_cuda_problem() {
  if (!cuda_built()) return "this libtorch is a CPU build";
  if (Driver::get().count() == 0) return "no NVIDIA driver or GPU was found";
  if (::dlopen(cuda_library().c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    const char* reason = ::dlerror();
    return std::string("libtorch_cuda.so does not load: ") + (reason ? reason : "unknown reason");
  }
  if (!at::globalContext().hasCUDA()) return "libtorch's CUDA library found no usable GPU";
  return "";
}

}  // namespace

bool cuda_built() {
  std::error_code ignored;
  return std::filesystem::exists(cuda_library(), ignored);
}

const std::string& cuda_problem() {
  static const std::string problem = find_cuda_problem();
  return problem;
}

std::vector<CudaDevice> cuda_devices() {
  std::vector<CudaDevice> devices;
  for (int i = 0; i < Driver::get().count(); ++i) devices.push_back(Driver::get().describe(i));
  return devices;
}

c10::Device resolve_device(const std::string& name) {
  if (name == "cpu") return at::kCPU;
  if (name == "auto")
    return cuda_problem().empty() ? c10::Device(at::kCUDA, 0) : c10::Device(at::kCPU);
  const bool indexed = name.starts_with("cuda:");
  int index = 0;
  if (indexed) {
    const char* begin = name.data() + 5;
    const char* end = name.data() + name.size();
    const auto [stop, error] = std::from_chars(begin, end, index);
    if (error != std::errc() || stop != end || begin == end || index < 0) index = -1;
  }
  if ((name != "cuda" && !indexed) || index < 0) {
    throw Error(ErrorCode::kConfig,
                "Expected device to be auto, cpu, cuda or cuda:N but received '" + name + "'");
  }
  if (!cuda_problem().empty()) {
    throw Error(ErrorCode::kConfig, "device '" + name + "' cannot be used: " + cuda_problem() +
                                        ".\nUse --device cpu, or run flexae doctor.");
  }
  const int count = Driver::get().count();
  if (index >= count) {
    throw Error(ErrorCode::kConfig, "device '" + name + "' does not exist: there are " +
                                        std::to_string(count) + " GPUs, counted from 0");
  }
  return {at::kCUDA, static_cast<c10::DeviceIndex>(index)};
}

void tune_device(c10::Device device) {
  if (!device.is_cuda()) return;
  at::globalContext().setBenchmarkCuDNN(true);
  at::globalContext().setAllowTF32CuDNN(true);
  at::globalContext().setAllowTF32CuBLAS(true);
}

}  // namespace flexae
