#pragma once

#include <cstdint>
#include <string>

#include "core/config.h"

namespace flexae {

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
  uint64_t seed = 1;
  std::string device = "auto";
  std::string precision = "auto";  ///< auto, fp32 or bf16
  int threads = 0;                 ///< 0: as many as there are cores
  bool horizontal_flip = true;
  bool vertical_flip = true;
  std::string run_dir;  ///< Existing folder; "" writes nothing.
  std::string config_json;
  int64_t progress_interval_ms = 100;
};

/// Checks ranges. Throws Error(kConfig).
void validate(const TrainerConfig& config);

}  // namespace flexae
