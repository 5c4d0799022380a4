#pragma once

#include <ATen/core/Tensor.h>

namespace flexae {

/// Bytes N×H×W×C to fp32 N×C×H×W (channels_last) in [0, 1] on the same device.
at::Tensor to_images(const at::Tensor& bytes);

}  // namespace flexae
