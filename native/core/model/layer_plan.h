#pragma once

#include <c10/core/Device.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/device/precision.h"
#include "core/layers/layers.h"
#include "core/spec/layer_spec.h"
#include "core/spec/model_config.h"

namespace flexae {

/// Layers of a list that one Layer computes.
struct PlannedLayer {
  size_t first = 0;
  size_t count = 1;
  /// Whose place in the list seeds the weights, so that they do not depend on what computes them.
  size_t seeded = 0;
  /// Whether something made for these layers computes them, or there is nothing to gain. Where it
  /// is false, libtorch's operations do it one by one.
  bool fast = true;
  /// Makes it of those layers alone.
  std::unique_ptr<Layer> (*make)(std::span<const LayerSpec> specs, const ModelConfig& config,
                                 Precision precision, uint64_t bits) = nullptr;
};

/// What computes which layers of `specs` on `device`. `stages` lets a CPU take convolutions,
/// normalizations and poolings together (see conv_block.h).
std::vector<PlannedLayer> plan_layers(const std::vector<LayerSpec>& specs, at::Device device,
                                      bool stages = true);

/// Places in `specs` of the layers that have no fast path in `plan` and pass over images or
/// multiply.
std::vector<size_t> slow_layers(const std::vector<LayerSpec>& specs,
                                const std::vector<PlannedLayer>& plan);

/// A line for whoever trains: layers of these names have no fast path on `device`; "" if there are
/// none.
std::string slow_layers_note(const std::vector<std::string>& names, at::Device device);

}  // namespace flexae
