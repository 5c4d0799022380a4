#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/spec/model_config.h"
#include "core/train/feed/epoch_order.h"

namespace flexae {

/// How a network is trained, and what goes where.
struct TrainerConfig : TrainingSettings {
  ModelConfig model;
  std::string run_dir;  ///< Existing folder; "" writes nothing.
  std::string config_json;
  std::string settings_json;  ///< Goes into checkpoints, for whoever resumes.
  /// A checkpoint to go on from, of the same network and optimizer; "" starts anew.
  std::string resume_from;
  /// An ae.pt or en.pt whose weights it begins with; "" for new ones. Not where it goes on.
  std::string weights_from;
  bool partial_weights = false;  ///< Layers that it does not have begin new; else that is an error.
  std::vector<SetPart> train_parts;  ///< Of the training set; empty where all count alike.
  int64_t progress_interval_ms = 100;
  int64_t reconstructions = 8;  ///< Validation images that are reconstructed after epochs.
};

/// Checks ranges. Throws Error(kConfig).
void validate(const TrainerConfig& config);

}  // namespace flexae
