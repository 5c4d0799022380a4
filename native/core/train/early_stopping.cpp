#include "core/train/early_stopping.h"

namespace flexae {

bool EarlyStopping::count(EpochReport& report, TrainingState& state) {
  report.best = state.best_epoch == 0 || report.valid.loss < state.best_loss;
  if (report.best) {
    state.best_epoch = report.epoch;
    state.best_loss = report.valid.loss;
    state.wait = 0;
  } else {
    ++state.wait;
  }
  report.best_epoch = state.best_epoch;
  return report.best;
}

}  // namespace flexae
