#pragma once

#include "core/tensor/named_tensors.h"
#include "core/train/checkpoint/training_state.h"
#include "core/train/training_step.h"

namespace flexae {

/// The tensors on the host, contiguous and in memory of their own, so that whoever writes them has
/// nothing left to compute.
NamedTensors copies(const NamedTensors& tensors);

/// The training as it is: model and optimizer of `step`, `state`, and `best`, the weights of its
/// best epoch, which must not be written to in place. Where the model is at the end of the best
/// epoch, `best` stands for it.
Snapshot take_snapshot(TrainingStep& step, const TrainingState& state, const NamedTensors& best);

/// Sets model and optimizer of `step`, but for the learning rate. Throws Error(kModel) if the
/// snapshot is another network's or optimizer's.
void restore_snapshot(TrainingStep& step, const Snapshot& snapshot);

}  // namespace flexae
