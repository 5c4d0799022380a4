#pragma once

#include "core/base/json.h"
#include "core/spec/model_config.h"

namespace flexae {

/// The network from ModelOptions of ts/addon/types.ts as JSON. Throws Error(kModel) for a member
/// that is missing or of another type, Error(kConfig) for one out of range.
ModelConfig model_config_from_json(const Json& json);

}  // namespace flexae
