#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "analysis/centre_sums.h"
#include "analysis/device/device_points.h"
#include "analysis/lloyd.h"
#include "analysis/point_set.h"

namespace flexae {

/// The two parts of k-means by libtorch's operations in a device's memory: what seed_centres() and
/// Lloyd compute, with distances that differ by rounding. Sums are products with a table of who
/// belongs to whom, in fp64, so that they are the same again on the same device.
class DeviceKmeans {
 public:
  DeviceKmeans(const PointSet& points, at::Device device)
      : host_(points), points_(points.tensor, points.shift, device) {}

  [[nodiscard]] const DevicePoints& points() const { return points_; }

  /// As seed_centres().
  [[nodiscard]] std::optional<std::vector<int64_t>> seed(
      int64_t k, uint64_t seed, const std::function<bool()>& goes_on) const;

  /// As Lloyd::run().
  [[nodiscard]] std::optional<Lloyd::Outcome> run(
      std::vector<float> centres, const Lloyd::Settings& settings,
      const std::function<bool(int64_t iteration, double shift)>& goes_on) const;

 private:
  [[nodiscard]] CentreSums sums_of(const at::Tensor& labels, int64_t k) const;
  /// As Lloyd::fill_empty(): changes `labels` and `sums`.
  void fill_empty(const std::vector<float>& centres, at::Tensor& labels, CentreSums& sums) const;

  const PointSet& host_;
  DevicePoints points_;
};

}  // namespace flexae
