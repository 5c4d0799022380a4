#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "core/layers/layers.h"

namespace flexae {

/// Takes images through `layers` (at least one, all with infers()) on a CPU in evaluation mode:
/// each thread takes a few at a time through all layers, so that what lies between them stays in
/// its cache. `images`: N×C×H×W floats in any memory format, or N×(H·W·C). Returns N×H×W×C.
at::Tensor infer(const std::vector<Layer*>& layers, const at::Tensor& images);

}  // namespace flexae
