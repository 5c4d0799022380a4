#pragma once

#include <cstddef>
#include <vector>

#include "core/spec/layer_spec.h"

namespace flexae {

/// Layers of a list that one stage computes (see conv_block.h). They point into the list.
struct StageMatch {
  const LayerSpec* upsample = nullptr;  ///< Null if there is none.
  const LayerSpec* conv = nullptr;      ///< A convolution or a transposed one.
  const LayerSpec* norm = nullptr;
  const LayerSpec* pool = nullptr;  ///< Null if there is none.
  size_t length = 0;                ///< How many layers that are; 0 if no stage begins there.
};

/// What of `specs[first]` and the layers behind it one stage computes.
StageMatch match_conv_stage(const std::vector<LayerSpec>& specs, size_t first);

}  // namespace flexae
