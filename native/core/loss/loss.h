#pragma once

#include <ATen/core/Tensor.h>

#include "core/spec/model_config.h"
#include "core/tensor/activations.h"

namespace flexae {

/// A loss describes itself in one file.
struct Loss {
  /// The activation of the network's last layer. The loss computes it itself: it is given what that
  /// activation would be.
  Activation output;
  /// Of a batch, in one pass: Σ loss, pixels whose rounded output equals the target, Σ squared
  /// error; three fp64 values on the device. Never waits for it.
  /// \param logits N×C×H×W, what the last activation would take. A deferred normalization is
  ///   computed on the way.
  /// \param target same shape and memory format, in [0, 1], or the images as bytes.
  /// \param grad if not null, receives d(mean loss)/d(logits), in the type in which the logits are
  ///   stored.
  /// \param whole images of the batch in all processes, over which the gradient is a mean; 0 where
  ///   they are these.
  at::Tensor sums(const Activations& logits, const Activations& target, at::Tensor* grad,
                  int64_t whole = 0) const {
    return of_batch(logits, target, grad, whole);
  }
  at::Tensor (*of_batch)(const Activations& logits, const Activations& target, at::Tensor* grad,
                         int64_t whole);
  /// The mean loss of each image, N fp64 values on the device. Both N×C×H×W and fp32.
  at::Tensor (*of_images)(const at::Tensor& logits, const at::Tensor& target);
};

/// The loss with which such a network is trained.
[[nodiscard]] const Loss& loss_of(const ModelConfig& config);

}  // namespace flexae
