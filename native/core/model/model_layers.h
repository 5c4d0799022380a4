#pragma once

#include <string>
#include <vector>

#include "core/model/model_file.h"
#include "core/spec/layer_spec.h"

namespace flexae {

/// What a model file holds, layer by layer: all that an exporter needs.
struct ModelLayers {
  ModelFile file;  ///< Its weights in the order of the layers.
  std::vector<LayerSpec> layers;
};

/// Reads an ae.pt or en.pt of this program. Nothing in it is executed; every weight is there, in
/// the shape of its layer. Throws Error(kModel) naming the path if it is damaged or not one of
/// ours, Error(kIo) if it cannot be read.
ModelLayers read_model_layers(const std::string& path);

}  // namespace flexae
