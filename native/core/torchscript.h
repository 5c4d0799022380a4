#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "core/model.h"

namespace flexae {

/// Writes `model` as TorchScript, atomically: stock ATen operators, eval mode, weights on the CPU.
/// Input N×C×H×W, floats in [0, 1] or uint8 (scaled inside). `config_json` becomes the extra file
/// `config.json`. An autoencoder's forward() gives the reconstruction; it also has encode() and
/// logits(). An encoder's forward() gives the embeddings. Throws Error(kIo).
void export_autoencoder(const Autoencoder& model, const std::string& path,
                        const std::string& config_json);
void export_encoder(const Autoencoder& model, const std::string& path,
                    const std::string& config_json);

/// An exported model, loaded. On a CPU it runs through the core's own layers, which are faster than
/// TorchScript and give the same; elsewhere, or where config.json does not say what the network is,
/// through TorchScript.
class ScriptModel {
 public:
  /// Throws Error(kModel) naming the path if it is not one of ours, Error(kIo) if it cannot be
  /// read.
  /// `native` false keeps to TorchScript.
  ScriptModel(const std::string& path, at::Device device, bool native = true);
  ~ScriptModel();
  ScriptModel(ScriptModel&&) noexcept;
  ScriptModel& operator=(ScriptModel&&) noexcept;

  [[nodiscard]] bool is_autoencoder() const;
  [[nodiscard]] const std::string& config_json() const;
  /// {C, H, W}
  [[nodiscard]] const std::vector<int64_t>& input_shape() const;
  /// Without the batch.
  [[nodiscard]] const std::vector<int64_t>& embedding_shape() const;
  [[nodiscard]] at::Device device() const;
  /// Whether the core's own layers run it.
  [[nodiscard]] bool is_native() const;

  /// Each takes N×C×H×W, uint8 or float, on the model's device. reconstruct() and logits() are an
  /// autoencoder's alone.
  at::Tensor encode(const at::Tensor& images);
  at::Tensor reconstruct(const at::Tensor& images);
  at::Tensor logits(const at::Tensor& images);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace flexae
