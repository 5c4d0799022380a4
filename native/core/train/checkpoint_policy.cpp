#include "core/train/checkpoint_policy.h"

#include "core/train/checkpoint/checkpoint.h"

namespace flexae {

std::optional<std::vector<std::string>> CheckpointPolicy::after_epoch(EpochReport& report,
                                                                      TrainingState& state) const {
  std::vector<std::string> names;
  if (report.best) names.emplace_back("best.ckpt");
  const bool writes = !config_.run_dir.empty();
  if (report.best && report.epoch - state.last_checkpoint >= config_.period && writes) {
    report.checkpoint = checkpoint_name(report.epoch, report.train.loss, report.valid.loss);
    state.last_checkpoint = report.epoch;
    names.push_back(report.checkpoint);
  }
  const bool due = config_.checkpoint_epochs > 0 &&
                   (report.best || report.epoch % config_.checkpoint_epochs == 0);
  if (!due && report.checkpoint.empty()) return std::nullopt;
  return names;
}

bool CheckpointPolicy::is_due_at(Clock::time_point now) const {
  return config_.checkpoint_minutes > 0 && config_.checkpoint_epochs > 0 &&
         std::chrono::duration<double>(now - last_save_).count() >= config_.checkpoint_minutes * 60;
}

bool CheckpointPolicy::is_due_at_end(const TrainingState& state) const {
  return place(state) != saved_ && config_.checkpoint_epochs > 0;
}

void CheckpointPolicy::note_saved(const TrainingState& state, Clock::time_point now) {
  saved_ = place(state);
  last_save_ = now;
}

}  // namespace flexae
