#pragma once

#include <string>

#include "core/model/autoencoder.h"

namespace flexae {

/// Writes `model` as TorchScript, atomically: stock ATen operators, eval mode, weights on the CPU.
/// Input N×C×H×W, floats in [0, 1] or uint8 (scaled inside). `config_json` becomes the extra file
/// `config.json`; the file ends with a checksum (see model_file.h). An autoencoder's forward()
/// gives the reconstruction; it also has encode() and logits(). An encoder's forward() gives the
/// embeddings. Throws Error(kIo).
void export_autoencoder(const Autoencoder& model, const std::string& path,
                        const std::string& config_json);
void export_encoder(const Autoencoder& model, const std::string& path,
                    const std::string& config_json);

}  // namespace flexae
