#include "core/train/trainer_config.h"

#include <cmath>

#include "core/base/error.h"

namespace flexae {
namespace {

void require_at_least(int64_t value, int64_t least, const char* name) {
  if (value >= least) return;
  throw Error(ErrorCode::kConfig, std::string("Expected ") + name + " to be at least " +
                                      std::to_string(least) + " but received " +
                                      std::to_string(value));
}

}  // namespace

OnNan on_nan_from_name(const std::string& name) {
  if (name == "stop") return OnNan::kStop;
  if (name == "skip") return OnNan::kSkip;
  throw Error(ErrorCode::kConfig, "Expected on_nan to be stop or skip but received '" + name + "'");
}

void validate(const TrainerConfig& config) {
  validate(config.model);
  require_at_least(config.epochs, 1, "train_epochs");
  require_at_least(config.batch_size, 1, "batch_size");
  require_at_least(config.patience, 0, "patience");
  require_at_least(config.period, 1, "period");
  require_at_least(config.checkpoint_epochs, 0, "checkpoint_epochs");
  require_at_least(config.keep, 0, "keep");
  require_at_least(config.threads, 0, "threads");
  require_at_least(config.progress_interval_ms, 0, "progressInterval");
  if (!std::isfinite(config.learning_rate) || config.learning_rate <= 0) {
    throw Error(ErrorCode::kConfig, "Expected learning_rate to be a positive number");
  }
  if (!std::isfinite(config.checkpoint_minutes) || config.checkpoint_minutes < 0) {
    throw Error(ErrorCode::kConfig, "Expected checkpoint_minutes to be a number of at least 0");
  }
}

}  // namespace flexae
