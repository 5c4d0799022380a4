#include "analysis/device/device_silhouette.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "analysis/device/device_points.h"

namespace flexae {

DeviceDistanceSums::DeviceDistanceSums(const PointSet& points, const DenseLabels& labels,
                                       double rounding, at::Device device)
    : points_(points.tensor.to(device).to(at::kDouble)), rounding_(rounding) {
  // Differences to the mean are small, and so are their products' rounding errors.
  points_.sub_(points_.mean(0));
  norms_ = points_.square().sum(1);
  members_ =
      at::zeros({points.count, static_cast<int64_t>(labels.counts.size())}, points_.options());
  members_.scatter_(1, at::tensor(labels.labels).to(device).to(at::kLong).unsqueeze(1), 1.0);
}

int64_t DeviceDistanceSums::rows_at_once() const {
  return std::clamp<int64_t>(kDeviceNumbers / points_.size(0), 1, points_.size(0));
}

at::Tensor DeviceDistanceSums::sums(int64_t first, int64_t rows) const {
  const at::Tensor here = points_.narrow(0, first, rows);
  const at::Tensor lengths = norms_.narrow(0, first, rows).unsqueeze(1) + norms_;
  const at::Tensor squared = at::addmm(lengths, here, points_.t(), /*beta=*/1, /*alpha=*/-2);
  // Of points that are the same but for rounding nothing is left; and to itself there is no way.
  at::Tensor distances = squared.mul_(squared > lengths * rounding_).sqrt_();
  distances.narrow(1, first, rows).diagonal().zero_();
  return at::mm(distances, members_).cpu();
}

}  // namespace flexae
