#pragma once

#include <string>
#include <vector>

#include "core/model/autoencoder.h"

namespace flexae {

/// Copies the weights of an exported autoencoder or encoder (`ae.pt`, `en.pt`) into `model`, layer
/// by layer, by their names and sizes. A layer is taken whole or not at all; one that the file does
/// not have, or has of other sizes, differs.
/// \return the layers that differ, in the order of the network, which stay as they are.
/// Throws Error(kModel) if the file is damaged or not one of ours, and, unless `partial`, naming
/// the layers that differ; with `partial` if all do. Error(kIo).
std::vector<std::string> load_initial_weights(Autoencoder& model, const std::string& path,
                                              bool partial);

}  // namespace flexae
