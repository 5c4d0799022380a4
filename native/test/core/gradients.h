#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "core/optim/optimizer.h"
#include "core/tensor/gradient.h"

// One step at a time, as tests take them.

namespace flexae::test {

/// As an optimizer takes them.
inline std::vector<Gradient> gradients(const std::vector<at::Tensor>& tensors) {
  std::vector<Gradient> gradients;
  gradients.reserve(tensors.size());
  for (const at::Tensor& tensor : tensors) gradients.push_back({tensor});
  return gradients;
}

/// One update. \return whether all gradients, of which there is one at least, were finite
inline bool step(Optimizer& optimizer, const std::vector<Gradient>& gradients) {
  const at::Tensor scalars = Optimizer::as_tensor(optimizer.begin_step());
  const Gradient& any = gradients.front();
  const at::Device device = any.rows == nullptr ? any.tensor.device() : at::kCPU;
  return optimizer.apply(gradients, scalars.to(device)).item<bool>();
}

}  // namespace flexae::test
