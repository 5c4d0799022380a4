#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "core/spec/model_config.h"

namespace flexae {

/// What one layer of the list computes. The forward pass, the summary and the exporters all read
/// this list; nothing else derives structure from the config.
enum class LayerKind {
  kConv,           ///< Conv2D, padding "same"
  kConvTranspose,  ///< Conv2DTranspose, padding "same", then cropped to `out` (bottom and right)
  kDense,          ///< Dense with `activation`
  kBatchNorm,      ///< BatchNormalization over the channels, with `activation` behind it
  kPool,           ///< 2×2 pooling, stride 2, padding "same" (padding does not count in a mean)
  kUpsample,       ///< nearest 2×, then cropped to `out`
  kDropout,
  kFlatten,  ///< N×C×H×W → N×(H·W·C)
  kReshape,  ///< N×(H·W·C) → N×C×H×W
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

struct LayerSpec {
  LayerKind kind{};
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

  /// `encoder.conv_0`, as in the exported models.
  [[nodiscard]] std::string full_name() const {
    return (part == Part::kEncoder ? "encoder." : "decoder.") + name;
  }
  /// Of kernel and bias, or of the four vectors of a batch normalization.
  [[nodiscard]] int64_t parameters() const;
  /// Multiply-accumulates for one image (convolutions and dense layers; the rest counts 0).
  [[nodiscard]] int64_t macs() const;
};

/// Rows of zeros that TensorFlow's "same" padding adds before and after `size`:
/// max((⌈n/s⌉−1)·s + k − n, 0) in all, the smaller half first.
std::array<int64_t, 2> same_padding(int64_t size, int64_t kernel, int64_t stride);

/// Rows that TensorFlow's "same" transposed convolution cuts off the full result before its first
/// row: ⌊max(k − s, 0)/2⌋.
int64_t same_transpose_crop(int64_t kernel, int64_t stride);

/// The whole network in order. Throws Error(kConfig), naming the layer, if the config is not valid
/// or the image becomes too small for it.
std::vector<LayerSpec> make_layers(const ModelConfig& config);

}  // namespace flexae
