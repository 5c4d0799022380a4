#pragma once

#include "core/base/json.h"
#include "core/spec/model_config.h"

namespace flexae {

/// The network from JSON, as config.json has it under `model`. Throws Error(kModel) naming a member
/// that is missing (and not `later`, see Setting) or of another type, Error(kConfig) for one out of
/// range.
ModelConfig model_config_from_json(const Json& json);

/// The same the other way round.
Json model_config_to_json(const ModelConfig& config);

/// How it is trained, likewise: toTrainingJson() of ts/config/network.ts.
TrainingSettings training_settings_from_json(const Json& json);
Json training_settings_to_json(const TrainingSettings& settings);

}  // namespace flexae
