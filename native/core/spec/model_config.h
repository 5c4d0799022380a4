#pragma once

#include "core/spec/settings.h"

namespace flexae {

/// Checks ranges and lengths. Throws Error(kConfig) naming the value and what was expected.
void validate(const ModelConfig& config);

/// Checks ranges. Throws Error(kConfig) likewise.
void validate(const TrainingSettings& settings);

}  // namespace flexae
