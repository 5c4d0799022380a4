#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/loss/loss.h"
#include "core/model/autoencoder.h"

namespace flexae {

/// An exported model, loaded. This program's own exports run through the core's own layers, which
/// give the same as their TorchScript and are faster on a CPU; nothing in them is executed.
class LoadedModel {
 public:
  /// `trust` also takes TorchScript of other origin, which can do what any program can.
  /// `native` false runs even an own export's TorchScript, if it is trusted.
  /// `precision` is for what runs through the core's layers; TorchScript runs as it was exported.
  /// `brief` is for a few images: memory is not kept for the next ones (keep_freed_memory()), and
  /// goes back to the system when the model is destroyed.
  /// Throws Error(kModel) naming the path if it is damaged or not one of ours, Error(kIo) if it
  /// cannot be read, Error(kConfig) as kernels() does.
  LoadedModel(const std::string& path, at::Device device, bool trust = false, bool native = true,
              Precision precision = Precision::kFp32, bool brief = false);
  ~LoadedModel();
  LoadedModel(LoadedModel&&) noexcept;
  LoadedModel& operator=(LoadedModel&&) noexcept;

  [[nodiscard]] bool is_autoencoder() const;
  /// "" if there is none.
  [[nodiscard]] const std::string& config_json() const;
  /// {C, H, W}
  [[nodiscard]] const std::vector<int64_t>& input_shape() const;
  /// Without the batch.
  [[nodiscard]] const std::vector<int64_t>& embedding_shape() const;
  [[nodiscard]] at::Device device() const;
  /// What it was trained with; of TorchScript that is run, what a network has by default.
  [[nodiscard]] const Loss& loss() const;
  /// Whether the core's own layers run it.
  [[nodiscard]] bool is_native() const;

  /// Each takes N×C×H×W, uint8 or float, on the model's device. reconstruct() and logits() are an
  /// autoencoder's alone.
  at::Tensor encode(const at::Tensor& images);
  /// Embeddings, and the loss of each image's reconstruction, N fp64 values. An autoencoder's
  /// alone.
  std::pair<at::Tensor, at::Tensor> encode_and_score(const at::Tensor& images);
  at::Tensor reconstruct(const at::Tensor& images);
  at::Tensor logits(const at::Tensor& images);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace flexae
