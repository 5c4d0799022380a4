#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <functional>

#include "analysis/mixture.h"
#include "analysis/mixture_sums.h"
#include "analysis/point_set.h"

namespace flexae {

/// What a mixture's fit does with all points, by libtorch's operations in a device's memory, in
/// fp64. Sums are made by products, so that they are the same again on the same device.
class DeviceMixture {
 public:
  DeviceMixture(const PointSet& points, at::Device device) : points_(points.tensor.to(device)) {}

  /// The sums of a step.
  [[nodiscard]] MixtureSums expect(const Mixture& mixture) const;

  /// What the mixture says of the points, in host memory.
  [[nodiscard]] MixturePrediction predict(const Mixture& mixture) const;

 private:
  struct Block;
  /// Calls `work` with blocks of points, their differences to the means and their densities.
  void for_blocks(const Mixture& mixture, const std::function<void(const Block&)>& work) const;

  at::Tensor points_;  ///< N×D of fp32
};

}  // namespace flexae
