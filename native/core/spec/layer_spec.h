#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/spec/model_config.h"

namespace flexae {

/// What computes; this room knows no more of it than its name (see core/layers/layers.h).
class Layer;
struct LayerSpec;

/// A tensor that a layer keeps in the exported models.
struct WeightSpec {
  std::string name;  ///< Without the layer's, e.g. `weight`.
  std::vector<int64_t> sizes;
  bool trained = true;  ///< By gradients.
  [[nodiscard]] int64_t numel() const;
};

/// How a layer takes its windows; rows come before columns. What has no windows keeps the initial
/// values.
struct LayerWindow {
  std::array<int64_t, 2> kernel{1, 1};
  /// Of an upsampling, the factor by which images grow.
  std::array<int64_t, 2> stride{1, 1};
  /// Added to the input above, on the left, below and on the right; of a transposed convolution,
  /// cut off its full result there.
  std::array<int64_t, 4> pads{};
  /// Added to the result of a transposed convolution below and on the right.
  std::array<int64_t, 2> output_padding{};
  /// Then cut off the result below and on the right.
  std::array<int64_t, 2> crop{};
};

/// What a kind of layer says of itself. Each kind is a constant (core/layers/kinds.h), which its
/// own file defines; whoever wants to know something of a layer asks `spec.kind`, and nobody else
/// tells kinds apart.
struct LayerKind {
  /// Keras's name of the class.
  std::string (*keras_name)(const LayerSpec&);
  /// How the layer is made, with its weights initialized on the CPU. `bits` seeds the first one,
  /// further ones follow from it.
  std::unique_ptr<Layer> (*make)(const LayerSpec&, const ModelConfig&, uint64_t bits);
  /// What it does to the variable `x` in TorchScript, line by line; its tensors are attributes of
  /// `self.NAME`. Only names that serialization knows: torch.*.
  std::string (*torchscript)(const LayerSpec&);
  /// Its tensors, in the order of exported models.
  std::vector<WeightSpec> (*weights)(const LayerSpec&) = [](const LayerSpec&) {
    return std::vector<WeightSpec>();
  };
  /// Numbers that torchscript() takes from `self.NAME`, beside the tensors.
  std::vector<std::pair<std::string, double>> (*constants)(const ModelConfig&) =
      [](const ModelConfig&) { return std::vector<std::pair<std::string, double>>(); };
  /// What exporters need to know of its windows.
  LayerWindow (*window)(const LayerSpec&) = [](const LayerSpec&) { return LayerWindow(); };
  /// Multiply-accumulates for one image; exact up to 2⁵³.
  double (*macs)(const LayerSpec&) = [](const LayerSpec&) { return 0.0; };
  /// Values that it keeps for the backward pass, for one image.
  int64_t (*kept)(const LayerSpec&) = [](const LayerSpec&) { return int64_t{0}; };
  /// Whether a GPU has kernels made for it, a library's or ours. What a CPU has, only `cpu` knows.
  bool (*has_gpu_kernels)(const LayerSpec&) = [](const LayerSpec&) { return false; };
};

enum class Part { kEncoder, kDecoder };

/// Channels, height and width; a flat vector of n has shape {n, 1, 1} and `flat` set.
struct Shape {
  int64_t c = 1;
  int64_t h = 1;
  int64_t w = 1;
  bool flat = false;
  [[nodiscard]] int64_t numel() const { return c * h * w; }
  [[nodiscard]] std::vector<int64_t> sizes() const {
    return flat ? std::vector<int64_t>{c} : std::vector<int64_t>{c, h, w};
  }
};

/// What one layer of the list computes. The forward pass, the summary and the exporters all read
/// this list (core/layers/layer_list.h); nothing else derives structure from the config.
struct LayerSpec {
  const LayerKind* kind = nullptr;
  Part part = Part::kEncoder;
  /// Without the part, e.g. `conv_0`, `conv_0_bn`, `deconv_end`.
  std::string name;
  Shape in;
  Shape out;
  int64_t kernel = 0;
  int64_t stride = 1;
  Pooling pooling = Pooling::kNone;
  Activation activation = Activation::kLinear;
  bool use_bias = true;
  double drop_rate = 0.0;

  [[nodiscard]] bool is(const LayerKind& which) const { return kind == &which; }
  /// `encoder.conv_0`, as in the exported models.
  [[nodiscard]] std::string full_name() const {
    return (part == Part::kEncoder ? "encoder." : "decoder.") + name;
  }
  /// Values in all its tensors, trained or not.
  [[nodiscard]] int64_t parameters() const;
  /// Multiply-accumulates for one image.
  [[nodiscard]] int64_t macs() const { return static_cast<int64_t>(kind->macs(*this)); }
  /// Whether it passes over images or multiplies, so that a training takes longer where it has no
  /// kernels of its own.
  [[nodiscard]] bool is_work() const { return macs() > 0 || !(in.flat || out.flat); }
};

/// Rows of zeros that TensorFlow's "same" padding adds before and after `size`:
/// max((⌈n/s⌉−1)·s + k − n, 0) in all, the smaller half first.
std::array<int64_t, 2> same_padding(int64_t size, int64_t kernel, int64_t stride);

/// Rows that TensorFlow's "same" transposed convolution cuts off the full result before its first
/// row: ⌊max(k − s, 0)/2⌋.
int64_t same_transpose_crop(int64_t kernel, int64_t stride);

}  // namespace flexae
