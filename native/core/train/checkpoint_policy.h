#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/train/checkpoint/training_state.h"
#include "core/train/trainer_config.h"

namespace flexae {

/// When a training is written down, and under which names besides `last.ckpt`.
class CheckpointPolicy {
 public:
  using Clock = std::chrono::steady_clock;

  /// `begin`: of this session, from where minutes count.
  CheckpointPolicy(const TrainerConfig& config, Clock::time_point begin)
      : config_(config), last_save_(begin) {}

  /// After an epoch that is counted in `state` and in `report` (see EarlyStopping). If it gets an
  /// `ep….ckpt`, that is noted in both. \return the further names under which it is to be saved;
  /// nothing if it is not.
  std::optional<std::vector<std::string>> after_epoch(EpochReport& report,
                                                      TrainingState& state) const;

  /// Within an epoch: whether enough minutes have gone by.
  [[nodiscard]] bool is_due_at(Clock::time_point now) const;

  /// When a training ends: whether where it stands is worth saving, and is not saved yet.
  [[nodiscard]] bool is_due_at_end(const TrainingState& state) const;

  void note_saved(const TrainingState& state, Clock::time_point now);
  /// The training goes on from a file, which holds this state.
  void note_resumed(const TrainingState& state) { saved_ = place(state); }

 private:
  /// Epochs, and batches of the next one.
  using Place = std::pair<int64_t, int64_t>;
  static Place place(const TrainingState& state) { return {state.epoch, state.progress.batch}; }

  const TrainerConfig& config_;
  Place saved_{0, 0};
  Clock::time_point last_save_;
};

}  // namespace flexae
