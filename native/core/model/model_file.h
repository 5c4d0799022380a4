#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "core/files/bytes.h"
#include "core/spec/model_config.h"
#include "core/tensor/named_tensors.h"

namespace flexae {

/// An exported model as data: what ae.pt and en.pt hold besides their TorchScript.
struct ModelFile {
  std::string config_json;
  ModelConfig config;
  bool autoencoder = false;  ///< Else an encoder.
  NamedTensors weights;      ///< By the names of Autoencoder::state().
};

/// The extra files of an export: `config.json`, and `weights.json`, which names the archive's data
/// records.
inline constexpr const char* kConfigEntry = "config.json";
inline constexpr const char* kWeightsEntry = "weights.json";

/// The text of `weights.json`: `weights` lie in the records data/0, data/1, … in this order.
std::string describe_weights(const NamedTensors& weights, bool autoencoder);

/// Closes an archive that torch::jit has written: checks that its records are what `weights.json`
/// says, and puts a CRC-32C over the whole file into the comment that ends every zip file.
/// Throws Error(kInternal).
void seal_model_file(std::string& archive, const NamedTensors& weights);

/// Whether a file is sealed as ours are. Throws Error(kModel) if it is, but a byte is not
/// as it was written; `name` is for messages.
bool is_sealed(const Bytes& file, const std::string& name);

/// Reads a sealed file. Nothing in it is executed and every size is checked, so it may come from
/// anyone. Throws Error(kModel).
ModelFile parse_model_file(const Bytes& file, const std::string& name);

}  // namespace flexae
