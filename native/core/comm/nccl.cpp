#include "core/comm/nccl.h"

#include <c10/core/DeviceGuard.h>
#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>

#include "core/base/error.h"

namespace flexae {
namespace {

/// As nccl.h has it; passed by value.
struct UniqueId {
  std::array<char, 128> bytes;
};

/// What of NCCL's interface is needed; it has been the same since version 2.4. Results: 0 is well.
struct Library {
  int (*get_unique_id)(UniqueId*);
  int (*init_rank)(void** communicator, int size, UniqueId id, int rank);
  int (*all_reduce)(const void* from, void* to, size_t count, int type, int operation,
                    void* communicator, void* stream);
  int (*abort)(void* communicator);
  const char* (*error_string)(int);

  /// Nothing where it is not there.
  static const std::optional<Library>& find() {
    static const std::optional<Library> library = []() -> std::optional<Library> {
      // Libtorch's CUDA library has loaded it, or it is of no use.
      void* nccl = ::dlopen("libnccl.so.2", RTLD_NOW | RTLD_NOLOAD);
      if (nccl == nullptr) return std::nullopt;
      Library made{};
      const auto found = [&]<typename F>(const char* name, F& function) {
        function = reinterpret_cast<F>(::dlsym(nccl, name));
        return function != nullptr;
      };
      const bool all =
          found("ncclGetUniqueId", made.get_unique_id) &&
          found("ncclCommInitRank", made.init_rank) && found("ncclAllReduce", made.all_reduce) &&
          found("ncclCommAbort", made.abort) && found("ncclGetErrorString", made.error_string);
      return all ? std::optional(made) : std::nullopt;
    }();
    return library;
  }

  static const Library& get() {
    const std::optional<Library>& library = find();
    if (!library) throw Error(ErrorCode::kInternal, "NCCL is not in this libtorch");
    return *library;
  }
};

void require(int result) {
  if (result == 0) return;
  throw Error(ErrorCode::kProcess,
              std::string("NCCL cannot add up: ") + Library::get().error_string(result));
}

int type_of(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kByte:
      return 1;
    case at::kLong:
      return 4;
    case at::kFloat:
      return 7;
    case at::kDouble:
      return 8;
    default:
      throw Error(ErrorCode::kInternal, "a sum over processes of such values");
  }
}

}  // namespace

std::string Nccl::problem() {
  const char* wanted = std::getenv("FLEXAE_NCCL");
  if (wanted != nullptr && std::string_view(wanted) == "0") return "FLEXAE_NCCL is 0";
  return Library::find() ? "" : "NCCL is not in this libtorch";
}

std::string Nccl::new_id() {
  UniqueId id{};
  require(Library::get().get_unique_id(&id));
  return {id.bytes.data(), id.bytes.size()};
}

Nccl::Nccl(const std::string& id, int rank, int size, at::Device device) : device_(device) {
  UniqueId given{};
  std::memcpy(given.bytes.data(), id.data(), std::min(id.size(), given.bytes.size()));
  const c10::DeviceGuard guard(device);
  require(Library::get().init_rank(&communicator_, size, given, rank));
}

Nccl::~Nccl() {
  const std::optional<Library>& library = Library::find();
  if (communicator_ != nullptr && library) library->abort(communicator_);
}

void Nccl::sum(const at::Tensor& tensor, const c10::Stream& stream) {
  constexpr int kSum = 0;
  const c10::DeviceGuard guard(device_);
  void* values = tensor.mutable_data_ptr();
  require(Library::get().all_reduce(values, values, static_cast<size_t>(tensor.numel()),
                                    type_of(tensor), kSum, communicator_, stream.native_handle()));
}

}  // namespace flexae
