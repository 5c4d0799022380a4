#pragma once

#include <ATen/core/Tensor.h>

#include "core/layers/initializer.h"
#include "core/spec/model_config.h"

namespace flexae {

/// Projects a weight in place as keras.constraints does, along Keras's axis 0 (the inputs of a
/// dense kernel, the whole of a bias).
void constrain(at::Tensor& w, WeightLayout layout, const Constraint& constraint);

}  // namespace flexae
