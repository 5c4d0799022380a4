#pragma once

#include <c10/core/Device.h>

#include <cstdint>

#include "analysis/distance_factors.h"
#include "analysis/kept_nearest.h"
#include "analysis/progress.h"

namespace flexae {

/// Keeps for each query the `candidates` points of least order, by products on `device`; which of
/// them are nearest is for others to say, exactly. With `exclude_self`, queries are the points, and
/// none is offered to itself; there are more points than candidates then. \throws Cancelled.
void keep_nearest_on(at::Device device, const DistanceFactors& factors, bool exclude_self,
                     int64_t candidates, KeptNearest& kept, const Progress& progress);

}  // namespace flexae
