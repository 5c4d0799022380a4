#pragma once

#include <memory>

#include "core/layers/layers.h"

namespace flexae {

/// A batch normalization together with the pooling behind it, which a GPU computes in one pass.
std::unique_ptr<Layer> make_pooled_norm(const LayerSpec& norm, const LayerSpec& pool,
                                        const ModelConfig& config);

}  // namespace flexae
