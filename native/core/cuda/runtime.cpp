#include "core/cuda/runtime.h"

#include <ATen/Context.h>
#include <c10/core/Stream.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <tuple>

#include "core/base/error.h"
#include "core/cuda/cubin_cache.h"
#include "core/cuda/sources.h"

namespace flexae::cuda {
namespace {

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += word + ' ';
  return text;
}

template <typename F>
void find(void* library, const char* name, F& function) {
  function = reinterpret_cast<F>(::dlsym(library, name));
  if (function == nullptr) throw Error(ErrorCode::kInternal, std::string("there is no ") + name);
}

/// Where libtorch's libraries are, and those that pip puts beside torch.
std::vector<std::filesystem::path> library_folders() {
  Dl_info info{};
  std::vector<std::filesystem::path> folders;
  if (::dladdr(reinterpret_cast<const void*>(&at::globalContext), &info) == 0) return folders;
  const auto lib = std::filesystem::path(info.dli_fname).parent_path();
  folders.push_back(lib);
  std::error_code ignored;
  const auto nvidia = std::filesystem::weakly_canonical(lib / ".." / ".." / "nvidia", ignored);
  for (const auto& entry : std::filesystem::directory_iterator(nvidia, ignored)) {
    folders.push_back(entry.path() / "lib");
  }
  return folders;
}

/// CUDA's compiler as a library (the NVRTC manual); these entry points are there since CUDA 11.1.
class Nvrtc {
 public:
  static const Nvrtc& get() {
    static const Nvrtc nvrtc;
    return nvrtc;
  }

  /// As 1000 × major + minor.
  [[nodiscard]] int version() const {
    int major = 0;
    int minor = 0;
    (void)version_(&major, &minor);
    return 1000 * major + minor;
  }

  [[nodiscard]] std::string compile(const std::string& source, const std::string& name,
                                    const std::vector<std::string>& options) const {
    void* program = nullptr;
    if (create_(&program, source.c_str(), name.c_str(), 0, nullptr, nullptr) != 0) {
      throw Error(ErrorCode::kInternal, "NVRTC takes no source");
    }
    std::vector<const char*> flags;
    flags.reserve(options.size());
    for (const std::string& option : options) flags.push_back(option.c_str());
    const int result = compile_(program, static_cast<int>(flags.size()), flags.data());
    size_t size = 0;
    std::string text;
    if (result != 0) {
      if (log_size_(program, &size) == 0) text.resize(size);
      (void)log_(program, text.data());
    } else if (cubin_size_(program, &size) == 0) {
      text.resize(size);
      (void)cubin_(program, text.data());
    }
    (void)destroy_(&program);
    if (result != 0 || text.empty()) {
      throw Error(ErrorCode::kInternal,
                  name + " with " + join(options) + "is not compiled: " + text.substr(0, 400));
    }
    return text;
  }

 private:
  Nvrtc() {
    void* library = nullptr;
    for (const char* version : {"13", "12"}) {
      const std::string name = std::string("libnvrtc.so.") + version;
      for (const auto& folder : library_folders()) {
        if (library == nullptr) library = ::dlopen((folder / name).c_str(), RTLD_NOW | RTLD_LOCAL);
      }
      if (library == nullptr) library = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    }
    if (library == nullptr) throw Error(ErrorCode::kInternal, "libnvrtc.so is not found");
    find(library, "nvrtcVersion", version_);
    find(library, "nvrtcCreateProgram", create_);
    find(library, "nvrtcCompileProgram", compile_);
    find(library, "nvrtcGetProgramLogSize", log_size_);
    find(library, "nvrtcGetProgramLog", log_);
    find(library, "nvrtcGetCUBINSize", cubin_size_);
    find(library, "nvrtcGetCUBIN", cubin_);
    find(library, "nvrtcDestroyProgram", destroy_);
  }

  int (*version_)(int*, int*) = nullptr;
  int (*create_)(void**, const char*, const char*, int, const char* const*,
                 const char* const*) = nullptr;
  int (*compile_)(void*, int, const char* const*) = nullptr;
  int (*log_size_)(void*, size_t*) = nullptr;
  int (*log_)(void*, char*) = nullptr;
  int (*cubin_size_)(void*, size_t*) = nullptr;
  int (*cubin_)(void*, char*) = nullptr;
  int (*destroy_)(void**) = nullptr;
};

/// What of the driver launches kernels (the CUDA Driver API reference), and the stream that is
/// current for libtorch.
class Driver {
 public:
  static const Driver& get() {
    static const Driver driver;
    return driver;
  }

  /// Compute capability, e.g. 90.
  [[nodiscard]] int architecture(int device) const {
    int handle = 0;
    int major = 0;
    int minor = 0;
    check(device_(&handle, device), "cuDeviceGet");
    check(attribute_(&major, 75, handle), "cuDeviceGetAttribute");
    check(attribute_(&minor, 76, handle), "cuDeviceGetAttribute");
    return 10 * major + minor;
  }

  [[nodiscard]] void* load(const std::string& cubin) const {
    void* module = nullptr;
    check(load_(&module, cubin.data()), "cuModuleLoadData");
    return module;
  }

  void launch(void* module, const char* kernel, std::array<unsigned, 3> grid, unsigned block,
              void** arguments) const {
    void* function = nullptr;
    check(function_(&function, module, kernel), kernel);
    const c10::impl::VirtualGuardImpl guard(at::kCUDA);
    const c10::Stream current = guard.getStream(guard.getDevice());
    check(launch_(function, grid[0], grid[1], grid[2], block, 1, 1, 0, stream_(&current), arguments,
                  nullptr),
          kernel);
  }

 private:
  Driver() {
    void* library = ::dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) throw Error(ErrorCode::kInternal, "there is no NVIDIA driver");
    find(library, "cuDeviceGet", device_);
    find(library, "cuDeviceGetAttribute", attribute_);
    find(library, "cuModuleLoadData", load_);
    find(library, "cuModuleGetFunction", function_);
    find(library, "cuLaunchKernel", launch_);
    // c10::cuda::CUDAStream::stream() const: a CUDAStream is a c10::Stream and nothing else, as its
    // header has it from libtorch 2.11 to 2.14.
    find(RTLD_DEFAULT, "_ZNK3c104cuda10CUDAStream6streamEv", stream_);
  }

  static void check(int result, const char* what) {
    if (result == 0) return;
    throw Error(ErrorCode::kInternal,
                std::string("CUDA error ") + std::to_string(result) + " from " + what);
  }

  int (*device_)(int*, int) = nullptr;
  int (*attribute_)(int*, int, int) = nullptr;
  int (*load_)(void**, const void*) = nullptr;
  int (*function_)(void**, void*, const char*) = nullptr;
  int (*launch_)(void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void*,
                 void**, void**) = nullptr;
  void* (*stream_)(const void*) = nullptr;
};

int current_device() {
  return c10::impl::VirtualGuardImpl(at::kCUDA).getDevice().index();
}

std::string find_problem() {
  const char* wanted = std::getenv("FLEXAE_CUDA_KERNELS");
  if (wanted != nullptr && std::string_view(wanted) == "0") return "FLEXAE_CUDA_KERNELS is 0";
  try {
    const int architecture = Driver::get().architecture(current_device());
    (void)compile("loss", {"STORAGE_BF16=1"}, architecture);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace

std::string kernel_source(std::string_view name) {
  std::string text;
  for (const std::string_view wanted : {std::string_view("common"), name}) {
    const auto* found = std::find_if(std::begin(kSources), std::end(kSources),
                                     [&](const Source& source) { return source.name == wanted; });
    if (found == std::end(kSources)) {
      throw Error(ErrorCode::kInternal, "there is no kernel source " + std::string(wanted));
    }
    text += found->text;
  }
  return text;
}

const std::string& problem() {
  static const std::string problem = find_problem();
  return problem;
}

std::string compile(std::string_view name, const std::vector<std::string>& macros,
                    int architecture) {
  std::vector<std::string> options{"--gpu-architecture=sm_" + std::to_string(architecture),
                                   "--std=c++17"};
  for (const std::string& macro : macros) options.push_back("-D" + macro);
  const std::string source = kernel_source(name);
  const Nvrtc& nvrtc = Nvrtc::get();
  const std::string key = std::to_string(nvrtc.version()) + ' ' + join(options) + '\n' + source;
  if (std::optional<std::string> kept = read_cubin(key)) return *std::move(kept);
  std::string cubin = nvrtc.compile(source, std::string(name) + ".cu", options);
  keep_cubin(key, cubin);
  return cubin;
}

Program Program::get(std::string_view name, const std::vector<std::string>& macros) {
  static std::mutex mutex;
  static std::map<std::tuple<int, std::string, std::string>, Program> programs;
  const int device = current_device();
  const std::lock_guard lock(mutex);
  const auto key = std::make_tuple(device, std::string(name), join(macros));
  const auto found = programs.find(key);
  if (found != programs.end()) return found->second;
  const Driver& driver = Driver::get();
  void* module = driver.load(compile(name, macros, driver.architecture(device)));
  return programs.emplace(key, Program(module)).first->second;
}

void Program::launch(const char* kernel, std::array<unsigned, 3> grid, unsigned block,
                     const std::vector<void*>& arguments) const {
  Driver::get().launch(module_, kernel, grid, block, const_cast<void**>(arguments.data()));
}

}  // namespace flexae::cuda
