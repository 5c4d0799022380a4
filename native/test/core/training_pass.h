#pragma once

#include <cstdint>

#include "core/model/autoencoder.h"

namespace flexae::test {

/// A training pass with dropout masks of its own.
inline Activations training_pass(Autoencoder& model, const Activations& images, uint64_t seed,
                                 uint64_t step) {
  model.sample(images.stored().size(0), seed, step);
  return model.forward(images);
}

}  // namespace flexae::test
