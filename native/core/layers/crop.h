#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace flexae {

/// Keeps the first h rows and w columns.
at::Tensor crop(const at::Tensor& x, int64_t h, int64_t w);

/// The gradient of crop(): zeros where it cut.
at::Tensor uncrop(const at::Tensor& grad, int64_t h, int64_t w);

}  // namespace flexae
