#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

namespace flexae {

/// The mean of N×D points of fp32 and Σ(x − mean)(x − mean)ᵀ, in fp64.
struct Scatter {
  at::Tensor mean;     ///< D
  at::Tensor scatter;  ///< D×D
};

/// Computed by libtorch's operations on `device`; the result is in host memory.
Scatter scatter_on(at::Device device, const at::Tensor& points);

/// (x − mean)·componentsᵀ of N×D points of fp32, computed in fp64 on `device`. \return N×K of fp32,
/// in host memory
at::Tensor coordinates_on(at::Device device, const at::Tensor& points, const at::Tensor& mean,
                          const at::Tensor& components);

}  // namespace flexae
