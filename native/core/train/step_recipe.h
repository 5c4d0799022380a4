#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

#include "core/comm/communicator.h"
#include "core/loss/loss.h"
#include "core/loss/metrics.h"
#include "core/model/autoencoder.h"
#include "core/optim/optimizer.h"
#include "core/tensor/activations.h"
#include "core/train/gradient_reducer.h"
#include "core/train/non_finite.h"

namespace flexae {

/// A batch as a step takes it: the model makes something of `input`, which the loss compares with
/// `target`. Images as floats N×C×H×W in [0, 1], or as bytes N×H×W×C.
struct Examples {
  Activations input;
  Activations target;
};

/// Where a batch stands in a training, as what seeds its dropout.
inline uint64_t step_number(int64_t epoch, int64_t batch) {
  return (static_cast<uint64_t>(epoch) << 32) + static_cast<uint64_t>(batch);
}

/// What else differs from step to step, on the model's device.
struct StepInputs {
  at::Tensor scalars;  ///< Optimizer::begin_step()'s, fp32.
  at::Tensor batch;    ///< The batch's number, fp64, 0-dimensional.
};

/// What a training step is, on any device. The host looks at nothing that is computed here, so that
/// a device can be sent a step while it works on the one before, or repeat what it has recorded.
class StepRecipe {
 public:
  /// Everything given must outlive the object. With the other processes of `communicator`, a step
  /// is of their images, too.
  StepRecipe(Autoencoder& model, Optimizer& optimizer, Metrics& metrics,
             Communicator& communicator = Communicator::alone());

  /// One update. After Autoencoder::sample(). Adds the batch to the metrics but for
  /// Metrics::count().
  void train(const Examples& examples, const StepInputs& inputs);
  /// Adds a batch to the metrics in evaluation mode, counted.
  void evaluate(const Examples& examples);

  /// Of the batches trained.
  NonFiniteWatch& non_finite() { return non_finite_; }

 private:
  Autoencoder& model_;
  Optimizer& optimizer_;
  Metrics& metrics_;
  void train_shared(const Examples& examples, const StepInputs& inputs);

  Communicator& communicator_;
  std::unique_ptr<GradientReducer> reducer_;  ///< Null without other processes.
  const Loss& loss_;
  NonFiniteWatch non_finite_;
};

}  // namespace flexae
