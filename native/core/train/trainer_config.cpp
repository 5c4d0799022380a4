#include "core/train/trainer_config.h"

#include <string>

#include "core/base/error.h"

namespace flexae {

void validate(const TrainerConfig& config) {
  validate(config.model);
  validate(static_cast<const TrainingSettings&>(config));
  if (config.progress_interval_ms < 0) {
    throw Error(ErrorCode::kConfig, "Expected progressInterval to be at least 0 but received " +
                                        std::to_string(config.progress_interval_ms));
  }
}

}  // namespace flexae
