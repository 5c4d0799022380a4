#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/device/precision.h"
#include "core/layers/layers.h"
#include "core/spec/layer_spec.h"
#include "core/spec/model_config.h"
#include "core/tensor/named_tensors.h"

namespace flexae {

/// The autoencoder: images → CNN → MLP → embedding → MLP → CNN → logits of images. It
/// differentiates itself (no autograd), so a training step allocates only what the step needs.
class Autoencoder {
 public:
  /// Initializes the weights from `seed` on the CPU, then moves them: the same on every device.
  /// Throws Error(kConfig) as make_layers() does.
  /// `stages` lets a CPU take convolutions, normalizations and poolings together (see
  /// conv_block.h).
  Autoencoder(const ModelConfig& config, uint64_t seed, at::Device device,
              Precision precision = Precision::kFp32, bool stages = true);

  /// Of weights that are there already, which it takes over: they are in memory once. `whole`: else
  /// without the decoder, which decode() and training need. Throws Error(kModel) if one is missing
  /// or has another shape.
  static Autoencoder of(const ModelConfig& config, NamedTensors weights, at::Device device,
                        Precision precision, bool whole);

  [[nodiscard]] const ModelConfig& config() const { return config_; }
  [[nodiscard]] at::Device device() const { return device_; }
  /// Names of layers that have no fast path there (see layer_plan.h).
  [[nodiscard]] const std::vector<std::string>& slow_layers() const { return slow_layers_; }

  /// Embeddings, N×D, in evaluation mode. `images`: N×C×H×W floats in [0, 1].
  at::Tensor encode(const at::Tensor& images);
  /// Logits, N×C×H×W, in evaluation mode; their sigmoid is the reconstruction.
  at::Tensor decode(const at::Tensor& embeddings);

  /// A training pass in two halves: sample() takes from chance what a batch of `images` images
  /// needs, dropout masks that follow from (seed, step); then forward() computes logits of images,
  /// floats as above or bytes, on the device without the host looking at anything.
  /// Of a batch that several processes share, each computes its own part.
  void sample(const Share& share, uint64_t seed, uint64_t step);
  Activations forward(const Activations& images);
  /// Gradients of everything from d(loss)/d(logits), the regularizers' included.
  void backward(const at::Tensor& grad);
  /// The same in two halves, for gradients that are added up over several processes: first those of
  /// the loss, where `on_layer` is told of each layer's parameters once they have theirs; then the
  /// regularizers', which are everywhere the same.
  using OnLayer = std::function<void(std::vector<Parameter>& parameters)>;
  void differentiate(const at::Tensor& grad, const OnLayer& on_layer);
  void regularize();
  /// Statistics of a batch are made over all processes from now on.
  void share_statistics(Communicator& communicator);
  /// Of the batch that sample() was told of last.
  [[nodiscard]] const Share& share() const { return share_; }

  /// Applies the constraints to the weights; after each optimizer step.
  void constrain();

  /// Σ of the penalties on weights, and on activities as of the last pass; undefined if there are
  /// no regularizers.
  [[nodiscard]] at::Tensor penalties() const;

  /// The trainable tensors and, in the same order, their gradients after backward().
  [[nodiscard]] std::vector<at::Tensor> parameters() const;
  [[nodiscard]] std::vector<Gradient> gradients() const;
  /// The gradients as tensors.
  [[nodiscard]] std::vector<at::Tensor> whole_gradients() const;

  /// Names of parameters(), in the same order.
  [[nodiscard]] std::vector<std::string> parameter_names() const;

  /// Everything an exported model holds, by name: parameters and buffers (shared storage).
  [[nodiscard]] NamedTensors state() const;
  /// What of it is not trained: moving statistics.
  [[nodiscard]] std::vector<at::Tensor> buffers() const;
  /// Copies values in, by name. Throws Error(kModel) naming a tensor that is missing or misshapen.
  void load_state(const NamedTensors& state);
  /// The weights stay as they are from now on, for evaluation only: what a pass makes of them first
  /// is kept.
  void freeze();

 private:
  Autoencoder(const ModelConfig& config, const std::vector<LayerSpec>& specs, uint64_t seed,
              at::Device device, Precision precision, bool stages);

  [[nodiscard]] at::ScalarType compute_type() const;
  [[nodiscard]] at::Tensor to_compute(const at::Tensor& images) const;
  /// Layers [begin, end).
  Activations run_layers(const Activations& x, size_t begin, size_t end, PassContext& context);
  /// The same in evaluation mode, by infer() where all of them can.
  at::Tensor evaluate(const at::Tensor& x, size_t begin, size_t end, PassContext& context);
  [[nodiscard]] size_t first_layer(const LayerKind& kind) const;

  ModelConfig config_;
  at::Device device_;
  Precision precision_;
  std::vector<std::unique_ptr<Layer>> layers_;
  std::vector<std::string> slow_layers_;
  /// Parameters in order; those of a convolution's bias have no gradient.
  std::vector<Parameter*> trainable_;
  at::Tensor activity_penalty_;
  Share share_ = 0;
};

}  // namespace flexae
