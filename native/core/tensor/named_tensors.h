#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <utility>
#include <vector>

namespace flexae {

/// The state of a model or an optimizer, in its order.
using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

}  // namespace flexae
