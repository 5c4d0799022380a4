#pragma once

#include <cstdint>
#include <memory>

#include "core/layers/layers.h"

namespace flexae {

/// A transposed convolution together with the upsampling in front of it, which must cut nothing
/// off: one convolution of twice the stride, for a quarter to a half of the multiplications.
std::unique_ptr<Layer> make_upsampled_conv(const LayerSpec& upsample, const LayerSpec& conv,
                                           const ModelConfig& config, uint64_t bits);

/// LayerKind::has_gpu_kernels of what make_upsampled_conv() makes.
bool upsampled_conv_has_gpu_kernels(const LayerSpec& conv);

}  // namespace flexae
