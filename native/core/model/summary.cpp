#include "core/model/summary.h"

#include <algorithm>

#include "core/layers/layer_list.h"
#include "core/model/layer_plan.h"
#include "core/optim/optimizer.h"

namespace flexae {

Summary summarize(const ModelConfig& config, int64_t batch_size, OptimizerKind optimizer,
                  at::Device device) {
  Summary summary;
  const Shape input{config.channels, config.height, config.width};
  summary.input = input.sizes();
  int64_t activations = 3 * input.numel();
  int64_t largest = 0;
  const std::vector<LayerSpec> layers = make_layers(config);
  for (const LayerSpec& layer : layers) {
    SummaryRow& row = summary.rows.emplace_back();
    row.name = layer.full_name();
    row.type = layer.kind->keras_name(layer);
    row.output = layer.out.sizes();
    row.parameters = layer.parameters();
    row.macs = layer.macs();
    summary.total += row.parameters;
    summary.macs += row.macs;
    for (const WeightSpec& weight : layer.kind->weights(layer)) {
      if (!weight.trained) summary.non_trainable += weight.numel();
    }
    if (layer.part == Part::kEncoder) {
      summary.encoder_parameters += row.parameters;
      summary.embedding = row.output;
    }
    activations += layer.kind->kept(layer);
    largest = std::max(largest, layer.out.numel());
  }
  for (const size_t slow : slow_layers(layers, plan_layers(layers, device))) {
    summary.rows[slow].fast_path = false;
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
