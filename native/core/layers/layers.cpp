#include "core/layers/layers.h"

namespace flexae {

std::unique_ptr<Layer> make_layer(const LayerSpec& spec, const ModelConfig& config, uint64_t bits) {
  return spec.kind->make(spec, config, bits);
}

void link_layers(const std::vector<std::unique_ptr<Layer>>& layers) {
  for (size_t i = 1; i < layers.size(); ++i) layers[i]->follow(*layers[i - 1]);
}

}  // namespace flexae
