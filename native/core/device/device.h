#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <string>
#include <vector>

namespace flexae {

/// A GPU that libtorch can use.
struct CudaDevice {
  int index = 0;
  std::string name;
  int64_t memory_bytes = 0;
  std::string capability;  ///< e.g. "9.0"
};

/// What stands in the way of CUDA; "" if nothing does. Loads libtorch_cuda.so on the first call
/// where a GPU driver is present: the program itself links only what training on the CPU needs.
const std::string& cuda_problem();

/// Whether the libtorch that is loaded has its CUDA library at hand.
bool cuda_built();

/// The GPUs the driver lists; empty without a driver.
std::vector<CudaDevice> cuda_devices();

/// auto, cpu, cuda or cuda:N. auto takes CUDA where it works. Throws Error(kConfig) with the
/// reason.
c10::Device resolve_device(const std::string& name);

/// Settings of the whole process for training on `device`: where it is a GPU, cuDNN tries out which
/// of its algorithms is the fastest for a shape, and fp32 products are computed in TF32.
void tune_device(c10::Device device);

}  // namespace flexae
