#pragma once

#include <napi.h>

#include "analysis/neighbour_search.h"

namespace flexae::addon {

/// Who is near whom; Addon of ts/addon/types.ts has the arguments.
Napi::Value nearest_neighbours(const Napi::CallbackInfo& info);
Napi::Value nearest_neighbours_of(const Napi::CallbackInfo& info);

/// `euclidean` or `cosine`, the entry `metric` of some options.
NeighbourMetric get_metric(const Napi::Object& options);
/// `auto`, `exact` or `approximate`, the entry `search` of some options.
NeighbourSearch get_search(const Napi::Object& options);

}  // namespace flexae::addon
