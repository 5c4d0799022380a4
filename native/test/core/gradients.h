#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "core/tensor/gradient.h"

namespace flexae::test {

/// As an optimizer takes them.
inline std::vector<Gradient> gradients(const std::vector<at::Tensor>& tensors) {
  std::vector<Gradient> gradients;
  gradients.reserve(tensors.size());
  for (const at::Tensor& tensor : tensors) gradients.push_back({tensor});
  return gradients;
}

}  // namespace flexae::test
