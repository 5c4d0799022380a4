#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>

#include "analysis/labels.h"
#include "analysis/point_set.h"

namespace flexae {

/// Sums of the distances of each point to the points of each cluster, in fp64, by libtorch's
/// operations on a device.
class DeviceDistanceSums {
 public:
  /// `rounding`: the share of both squared lengths that a squared distance has to exceed to count.
  DeviceDistanceSums(const PointSet& points, const DenseLabels& labels, double rounding,
                     at::Device device);

  /// Of points [first, first + rows). \return rows×clusters of fp64, in host memory
  [[nodiscard]] at::Tensor sums(int64_t first, int64_t rows) const;

  /// Points whose distances to all others fit into a block.
  [[nodiscard]] int64_t rows_at_once() const;

 private:
  at::Tensor points_;   ///< N×D of fp64, about their mean
  at::Tensor norms_;    ///< N
  at::Tensor members_;  ///< N×clusters: 1 where a point belongs to a cluster
  double rounding_;
};

}  // namespace flexae
