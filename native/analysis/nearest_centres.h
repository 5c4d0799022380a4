#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <optional>

#include "analysis/point_set.h"

namespace flexae {

/// The nearest of `count` centres (count×D) of each point, the first of several, and the squared
/// distance to it. What is found for a point does not depend on the other points. Libtorch's
/// operations find it on `device`, or, where none is given, kernels of our own on the CPU.
void find_nearest(const PointSet& points, const float* centres, int64_t count, int32_t* labels,
                  float* squared_distances, std::optional<at::Device> device = {});

}  // namespace flexae
