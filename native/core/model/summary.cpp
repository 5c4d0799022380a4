#include "core/model/summary.h"

#include <algorithm>

#include "core/optim/optimizer.h"
#include "core/spec/layer_spec.h"

namespace flexae {
namespace {

std::string keras_type(const LayerSpec& layer) {
  switch (layer.kind) {
    case LayerKind::kConv:
      return "Conv2D";
    case LayerKind::kConvTranspose:
      return "Conv2DTranspose";
    case LayerKind::kDense:
      return "Dense";
    case LayerKind::kBatchNorm:
      return "BatchNormalization";
    case LayerKind::kPool:
      return layer.pooling == Pooling::kAvg ? "AveragePooling2D" : "MaxPooling2D";
    case LayerKind::kUpsample:
      return "UpSampling2D";
    case LayerKind::kDropout:
      return "Dropout";
    case LayerKind::kFlatten:
      return "Flatten";
    case LayerKind::kReshape:
      return "Reshape";
  }
  return "";
}

/// Values that a layer keeps for the backward pass, for one image.
int64_t kept(const LayerSpec& layer) {
  switch (layer.kind) {
    case LayerKind::kBatchNorm:
      return 2 * layer.out.numel();  // its input and its activated output
    case LayerKind::kDense:
    case LayerKind::kDropout:
    case LayerKind::kPool:
    case LayerKind::kUpsample:
    case LayerKind::kConv:
      return layer.out.numel();
    default:
      return 0;
  }
}

}  // namespace

Summary summarize(const ModelConfig& config, int64_t batch_size, OptimizerKind optimizer) {
  Summary summary;
  const Shape input{config.channels, config.height, config.width};
  summary.input = input.sizes();
  int64_t activations = 3 * input.numel();
  int64_t largest = 0;
  for (const LayerSpec& layer : make_layers(config)) {
    SummaryRow& row = summary.rows.emplace_back();
    row.name = layer.full_name();
    row.type = keras_type(layer);
    row.output = layer.out.sizes();
    row.parameters = layer.parameters();
    row.macs = layer.macs();
    summary.total += row.parameters;
    summary.macs += row.macs;
    if (layer.kind == LayerKind::kBatchNorm) summary.non_trainable += row.parameters / 2;
    if (layer.part == Part::kEncoder) {
      summary.encoder_parameters += row.parameters;
      summary.embedding = row.output;
    }
    activations += kept(layer);
    largest = std::max(largest, layer.out.numel());
  }
  constexpr double kFloatBytes = 4;
  // Weights, gradients and the best weights so far, then the optimizer's accumulators; two
  // gradients of activations are alive at a time.
  const int64_t copies = 3 + Optimizer::slot_count(optimizer);
  // A large batch of large images is more than int64 can say.
  constexpr double kMost = 0x1p62;
  const double bytes = kFloatBytes * (static_cast<double>(copies * summary.total) +
                                      static_cast<double>(batch_size) *
                                          static_cast<double>(activations + 2 * largest));
  summary.training_bytes = static_cast<int64_t>(std::min(bytes, kMost));
  return summary;
}

}  // namespace flexae
