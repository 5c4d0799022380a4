#pragma once

#include <ATen/core/Tensor.h>

#include "core/tensor/activations.h"

/// Binary cross-entropy, the loss. It takes logits, what a last sigmoid would take, and targets in
/// [0, 1], and gives in one pass Σ BCE, the number of pixels whose rounded output equals the
/// target, and Σ squared error: three fp64 values on the device. `grad`, if not null, receives
/// d(mean BCE)/ d(logits) = (sigmoid(logits) − target) / numel, in the type in which the logits are
/// stored.
namespace flexae::bce {

/// On a CPU, each image while it is in a thread's cache. A normalization of the logits that is due
/// is computed on the way, and the target may be bytes. Undefined where the kernels do not take
/// such values.
at::Tensor sums_by_kernels(const Value& logits, const Value& target, at::Tensor* grad);

/// On any device, of fp32 or of what a GPU has.
at::Tensor sums_by_aten(const at::Tensor& logits, const at::Tensor& target, at::Tensor* grad);

}  // namespace flexae::bce
