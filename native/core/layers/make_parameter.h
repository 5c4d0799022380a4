#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/layers/layers.h"

namespace flexae {

/// The second weight of a layer must not repeat the first one's draws.
inline constexpr uint64_t kBiasSalt = 0x5851f42d4c957f2dULL;

/// A weight with its first values on the CPU, as initialize() draws them; of four dimensions in
/// channels_last.
Parameter make_parameter(std::string name, WeightLayout layout, const std::vector<int64_t>& sizes,
                         Initializer initializer, uint64_t bits);

}  // namespace flexae
