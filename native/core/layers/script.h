#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/spec/layer_spec.h"

/// Pieces of TorchScript, for LayerKind::torchscript.
namespace flexae::script {

/// `[1, 2]`.
std::string list(const std::vector<int64_t>& values);

/// The line that gives the variable `x` the value of an expression.
std::string assign(const std::string& expression);

/// The lines that cut images of h×w, which are `x`, to the size of the layer's output; "" if they
/// have it.
std::string crop(const LayerSpec& layer, int64_t h, int64_t w);

}  // namespace flexae::script
