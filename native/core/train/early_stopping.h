#pragma once

#include <cstdint>

#include "core/train/checkpoint/training_state.h"

namespace flexae {

/// Which epoch is the best, and when there have been enough since. The best has the lowest
/// validation loss, of equal ones the first.
class EarlyStopping {
 public:
  /// `patience`: epochs without a better one before a training stops.
  explicit EarlyStopping(int64_t patience) : patience_(patience) {}

  /// Counts the epoch that `report` tells of, in `state` and as the report's best and best_epoch.
  /// \return whether it is the best so far.
  static bool count(EpochReport& report, TrainingState& state);

  /// Whether patience has ended. Never right after the best epoch, not even without patience.
  [[nodiscard]] bool is_over(const TrainingState& state) const {
    return state.wait > 0 && state.wait >= patience_;
  }

 private:
  int64_t patience_;
};

}  // namespace flexae
