#pragma once

#include <ATen/core/Tensor.h>

#include "core/spec/model_config.h"

namespace flexae {

/// l1·Σ|w| + l2·Σw² as a 0-dimensional fp32 tensor on w's device.
at::Tensor penalty(const at::Tensor& w, const Regularizer& regularizer);

/// d penalty / dw = l1·sign(w) + 2·l2·w, in w's shape.
at::Tensor penalty_grad(const at::Tensor& w, const Regularizer& regularizer);

}  // namespace flexae
