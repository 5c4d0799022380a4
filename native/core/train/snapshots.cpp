#include "core/train/snapshots.h"

#include <ATen/ATen.h>

#include <map>
#include <string>
#include <vector>

#include "core/base/error.h"

namespace flexae {
namespace {

std::string slot_name(size_t slot, const std::string& parameter) {
  return std::to_string(slot) + "." + parameter;
}

}  // namespace

NamedTensors copies(const NamedTensors& tensors) {
  NamedTensors copies;
  copies.reserve(tensors.size());
  for (const auto& [name, tensor] : tensors) {
    copies.emplace_back(name, tensor.to(at::kCPU, tensor.scalar_type(), /*non_blocking=*/false,
                                        /*copy=*/true, at::MemoryFormat::Contiguous));
  }
  return copies;
}

Snapshot take_snapshot(TrainingStep& step, const TrainingState& state, const NamedTensors& best) {
  Snapshot snapshot;
  snapshot.state = state;
  snapshot.iterations = step.optimizer().iterations();
  snapshot.learning_rate = step.optimizer().learning_rate();
  const bool is_best = state.best_epoch > 0 && state.best_epoch == state.epoch;
  if (is_best && state.progress.batch == 0) {
    snapshot.model = best;
  } else {
    snapshot.model = copies(step.model().state());
    snapshot.best = best;
  }
  const std::vector<std::string> names = step.model().parameter_names();
  const auto& slots = step.optimizer().slots();
  for (size_t k = 0; k < slots.size(); ++k) {
    NamedTensors slot;
    for (size_t i = 0; i < names.size(); ++i) {
      slot.emplace_back(slot_name(k, names[i]), slots[k][i]);
    }
    slot = copies(slot);
    snapshot.slots.insert(snapshot.slots.end(), slot.begin(), slot.end());
  }
  return snapshot;
}

void restore_snapshot(TrainingStep& step, const Snapshot& snapshot) {
  if (!snapshot.best.empty()) step.model().load_state(snapshot.best);
  step.model().load_state(snapshot.model);
  const std::map<std::string, at::Tensor> found(snapshot.slots.begin(), snapshot.slots.end());
  const std::vector<std::string> names = step.model().parameter_names();
  std::vector<std::vector<at::Tensor>> slots = step.optimizer().slots();
  for (size_t k = 0; k < slots.size(); ++k) {
    for (size_t i = 0; i < names.size(); ++i) {
      const auto slot = found.find(slot_name(k, names[i]));
      if (slot == found.end() || slot->second.sizes() != slots[k][i].sizes()) {
        throw Error(ErrorCode::kModel,
                    "the optimizer's state of '" + names[i] + "' is missing or has another shape");
      }
      slots[k][i] = slot->second.to(step.device());
    }
  }
  if (found.size() != slots.size() * names.size()) {
    throw Error(ErrorCode::kModel, "its optimizer is another one");
  }
  step.optimizer().restore(snapshot.iterations, slots);
}

}  // namespace flexae
