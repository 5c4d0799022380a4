#pragma once

#include <cstdint>
#include <memory>

#include "core/layers/layers.h"

namespace flexae {

/// A dense layer on a CPU: a Dense whose products are DenseProducts, where the processor has them.
/// `bits`: as in make_layer().
std::unique_ptr<Layer> make_dense_layer(const LayerSpec& spec, const ModelConfig& config,
                                        uint64_t bits);

}  // namespace flexae
