#include "core/loss/loss.h"

#include "core/loss/bce.h"

namespace flexae {

const Loss& loss_of(const ModelConfig& /*config*/) {
  return kBinaryCrossEntropy;
}

}  // namespace flexae
