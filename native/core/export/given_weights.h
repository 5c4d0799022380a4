#pragma once

#include <string>

#include "core/tensor/named_tensors.h"

namespace flexae {

/// Writes into `folder` what a training leaves (default_exporters()), for weights that were made
/// elsewhere. `config_json`: describes the network under `model`, and travels in the files.
/// `weights`: by the names and in the sizes of Autoencoder::state().
/// Throws Error(kModel) naming a weight that is missing, misshapen or not finite, or a variance
/// below 0; Error(kConfig) for a network that cannot be, Error(kIo).
void write_given_weights(const std::string& folder, const std::string& config_json,
                         const NamedTensors& weights);

}  // namespace flexae
