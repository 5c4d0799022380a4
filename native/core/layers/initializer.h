#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "core/spec/model_config.h"

namespace flexae {

/// How a weight tensor's axes map to Keras's.
enum class WeightLayout {
  kDense,          ///< out×in (Keras: in×out)
  kConv,           ///< out×in×kh×kw (Keras: kh×kw×in×out)
  kConvTranspose,  ///< in×out×kh×kw (Keras: kh×kw×out×in)
  kBias,           ///< a vector
};

/// A new fp32 CPU tensor of PyTorch shape `sizes`, drawn as Keras's initializer draws the same
/// weight in its own layout (keras.initializers; fans by its compute_fans). `bits` seeds it.
at::Tensor initialize(Initializer initializer, WeightLayout layout,
                      const std::vector<int64_t>& sizes, uint64_t bits);

}  // namespace flexae
