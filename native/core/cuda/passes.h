#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "core/spec/model_config.h"

// Passes over tensors on a GPU by kernels of our own, where libtorch would take several.

namespace flexae::cuda {

/// Blocks for a pass over `count` values, 256 threads each.
unsigned pass_blocks(int64_t count);

/// Whether binary_cross_entropy() takes logits such as these.
bool takes_loss(const at::Tensor& logits);

/// \param logits bf16 or fp32, N×C×H×W
/// \param target fp32 of the same shape, in [0, 1]
/// \param grad if not null, receives (sigmoid(logits) − target) / count in the logits' type
/// \param count values that the loss is a mean of
/// \return fp64: Σ binary cross-entropy, pixels right, Σ squared error, as Metrics has them
at::Tensor binary_cross_entropy(const at::Tensor& logits, const at::Tensor& target,
                                at::Tensor* grad, double count);

/// Whether optimizer_step() takes these tensors: fp32 on a GPU, and each gradient laid out as its
/// parameter.
bool takes_step(const std::vector<at::Tensor>& parameters,
                const std::vector<at::Tensor>& gradients);

/// A step of an optimizer on one tensor. `scalars`: fp32, what Optimizer::begin_step() gives.
/// Slots that the optimizer has not may be undefined.
void optimizer_step(OptimizerKind kind, const at::Tensor& parameter, const at::Tensor& gradient,
                    const at::Tensor& slot0, const at::Tensor& slot1, const at::Tensor& scalars);

}  // namespace flexae::cuda
