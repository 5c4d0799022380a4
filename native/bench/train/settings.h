#pragma once

#include <cstdint>
#include <string>

#include "core/base/json.h"
#include "core/spec/model_config_json.h"
#include "core/train/trainer_config.h"

namespace flexae::bench {

extern const char* const kUsage;

/// The settings as the JSON that model_config_json reads, with what was given over the defaults.
struct Settings {
  Json::Object model = model_config_to_json({}).object();
  Json::Object training = training_settings_to_json({}).object();
  TrainerConfig trainer;  ///< What finish() makes of them.
  std::string images;
  int64_t steps = 20;
  int64_t warmup = 5;
  int64_t peak_size = -1;  ///< -1: by device
  bool learning_rate_given = false;
  bool json = false;
  bool serve = false;
  std::string profile;

  /// By its name, with any of its spellings. Throws Error(kConfig).
  void set(const std::string& name, const Json& value);
  /// Makes `trainer` of what was set. Throws Error(kConfig).
  void finish();

 private:
  /// This program's own.
  bool set_own(const std::string& key, const Json& value);
  /// One of the core's, by its name or by its key in JSON.
  bool set_core(const std::string& key, const Json& value);
};

/// From the command line. Throws Error(kConfig), or Error(kIo) for a file that cannot be read.
Settings read_settings(int argc, char** argv);

}  // namespace flexae::bench
