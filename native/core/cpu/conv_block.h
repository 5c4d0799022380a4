#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/layers/layers.h"

namespace flexae {

/// How many layers from `specs[first]` on one stage computes (see match.h): an optional nearest
/// upsampling, a convolution or transposed convolution, its batch normalization with activation, an
/// optional pooling. 0 if none begins there.
size_t conv_stage_length(const std::vector<LayerSpec>& specs, size_t first);

/// Those layers in one, on a CPU. Each thread takes whole images, a few at a time if they are
/// small: it multiplies (see Convolution) and gathers statistics while the image is in its cache.
/// The normalization is not computed but handed on, and in the backward pass once more from the raw
/// output (see NormPool); an upsampling in front becomes four additions behind (see Border).
/// Computes what the single layers compute, up to rounding. `bits` seeds the convolution's weights,
/// as in make_layer().
std::unique_ptr<Layer> make_conv_stage(const std::vector<LayerSpec>& specs,
                                       const ModelConfig& config, Precision precision,
                                       uint64_t bits);

}  // namespace flexae
