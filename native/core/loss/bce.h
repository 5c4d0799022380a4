#pragma once

#include "core/loss/loss.h"

namespace flexae {

/// Binary cross-entropy of a sigmoid's outputs with targets in [0, 1]. Its gradient is
/// (sigmoid(logits) − target) / numel.
extern const Loss kBinaryCrossEntropy;

}  // namespace flexae
