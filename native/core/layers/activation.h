#pragma once

#include <ATen/core/Tensor.h>

#include "core/spec/model_config.h"

namespace flexae {

/// y = activation(x), elementwise, in x's dtype.
at::Tensor activate(const at::Tensor& x, Activation activation);

/// dL/dx from dL/dy. `y` is activation(x). `x` is needed by gelu and silu alone, whose derivative
/// cannot be had from y; it may be undefined for the others.
at::Tensor activate_backward(const at::Tensor& grad, const at::Tensor& x, const at::Tensor& y,
                             Activation activation);

/// Whether activate_backward needs x.
constexpr bool needs_input(Activation activation) {
  return activation == Activation::kGelu || activation == Activation::kSilu;
}

/// The expression in TorchScript that applies the activation to the variable `x`, as exported.
std::string activation_source(Activation activation);

/// PyTorch's constants of selu (Klambauer et al., 2017).
inline constexpr double kSeluAlpha = 1.6732632423543772848170429916717;
inline constexpr double kSeluScale = 1.0507009873554804934193349852946;
/// Keras 3's default slope of leaky_relu.
inline constexpr double kLeakySlope = 0.2;

}  // namespace flexae
