#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Stream.h>

#include <string>

namespace flexae {

/// Sums between GPUs by NCCL, which comes with libtorch's CUDA library. It is not linked, as CUDA
/// is not: where the library is loaded, its functions are found by name.
class Nccl {
 public:
  /// Why it cannot be used here; "" if it can.
  [[nodiscard]] static std::string problem();
  /// By which processes find each other: one makes it, and all are given it.
  [[nodiscard]] static std::string new_id();

  /// Waits for all others. Throws Error(kProcess) with NCCL's reason.
  Nccl(const std::string& id, int rank, int size, at::Device device);
  Nccl(const Nccl&) = delete;
  Nccl& operator=(const Nccl&) = delete;
  /// Ends what is under way.
  ~Nccl();

  /// Sends a sum in place to `stream`, and does not wait. `tensor`: contiguous, fp32, fp64, int64
  /// or bytes.
  void sum(const at::Tensor& tensor, const c10::Stream& stream);

 private:
  at::Device device_;
  void* communicator_ = nullptr;
};

}  // namespace flexae
