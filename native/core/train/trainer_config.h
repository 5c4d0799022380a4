#pragma once

#include <cstdint>
#include <string>

#include "core/spec/model_config.h"

namespace flexae {

/// What a loss or gradient that is not finite does: end the training, or take it back to the last
/// good point with half the learning rate.
enum class OnNan { kStop, kSkip };

/// Throws Error(kConfig).
OnNan on_nan_from_name(const std::string& name);

struct TrainerConfig {
  ModelConfig model;
  OptimizerKind optimizer = OptimizerKind::kAdadelta;
  double learning_rate = 1.0;
  int64_t epochs = 100;
  int64_t batch_size = 32;
  /// Epochs without a better validation loss before stopping.
  int64_t patience = 100;
  /// A checkpoint at most every so many epochs, when the validation loss is the best so far.
  int64_t period = 100;
  /// `last.ckpt` every so many epochs, and whenever the validation loss is the best so far; 0:
  /// never.
  int64_t checkpoint_epochs = 1;
  /// And within an epoch whenever so many minutes have gone by; 0: not within an epoch.
  double checkpoint_minutes = 0;
  /// How many `ep….ckpt` files stay, the newest; 0: all.
  int64_t keep = 0;
  OnNan on_nan = OnNan::kStop;
  uint64_t seed = 1;
  std::string device = "auto";
  std::string precision = "auto";  ///< auto, fp32 or bf16
  int threads = 0;                 ///< 0: as many as there are cores
  bool horizontal_flip = true;
  bool vertical_flip = true;
  std::string run_dir;  ///< Existing folder; "" writes nothing.
  std::string config_json;
  std::string settings_json;  ///< Goes into checkpoints, for whoever resumes.
  /// A checkpoint to go on from, of the same network and optimizer; "" starts anew.
  std::string resume_from;
  int64_t progress_interval_ms = 100;
};

/// Checks ranges. Throws Error(kConfig).
void validate(const TrainerConfig& config);

}  // namespace flexae
