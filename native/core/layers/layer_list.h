#pragma once

#include <vector>

#include "core/spec/layer_spec.h"
#include "core/spec/model_config.h"

namespace flexae {

/// The whole network in order. Throws Error(kConfig), naming the layer, if the config is not valid
/// or the image becomes too small for it.
std::vector<LayerSpec> make_layers(const ModelConfig& config);

}  // namespace flexae
