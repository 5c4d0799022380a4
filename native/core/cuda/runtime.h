#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace flexae::cuda {

/// The source of a kernel of cuda/kernels by its file's name without ".cu.h"; common.cu.h goes in
/// front of each. Throws Error(kInternal) for a name that is none.
std::string kernel_source(std::string_view name);

/// What stands in the way of kernels of our own on the current device ("" if nothing does): NVRTC,
/// CUDA's compiler as a library, which comes with PyTorch's CUDA wheels, is looked for once.
const std::string& problem();

/// Compiles a kernel's source without a GPU.
/// \param name as in kernel_source()
/// \param architecture a compute capability, e.g. 90
/// \param macros as in "STORAGE_BF16=1"
/// \return the cubin. Throws Error(kInternal) with the compiler's first words.
std::string compile(std::string_view name, const std::vector<std::string>& macros,
                    int architecture);

/// A kernel's source compiled for the current device with macros, which are made once a process.
class Program {
 public:
  static Program get(std::string_view name, const std::vector<std::string>& macros);

  /// Sends a kernel to the current stream. `arguments` point to the values.
  void launch(const char* kernel, std::array<unsigned, 3> grid, unsigned block,
              const std::vector<void*>& arguments) const;

 private:
  explicit Program(void* module) : module_(module) {}
  void* module_;
};

/// send(program, "name", grid, block, a, b, …): arguments of exactly the kernel's types. Tensors go
/// as their data's addresses.
namespace detail {
inline void* address(const at::Tensor& tensor) {
  return tensor.data_ptr();
}
template <typename T>
T address(T value) {
  return value;
}
}  // namespace detail

template <typename... Arguments>
void send(const Program& program, const char* kernel, std::array<unsigned, 3> grid, unsigned block,
          const Arguments&... arguments) {
  auto values = std::make_tuple(detail::address(arguments)...);
  std::apply(
      [&](auto&... value) {
        program.launch(kernel, grid, block, std::vector<void*>{static_cast<void*>(&value)...});
      },
      values);
}

}  // namespace flexae::cuda
