#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "analysis/point_set.h"

namespace flexae {

/// K-means on batches that are drawn at random (Sculley, 2010), as scikit-learn's MiniBatchKMeans:
/// a centre is the mean of all points that it ever got. Centres that got less than a hundredth of
/// what the largest got are put on points of the batch from time to time. It ends when the smoothed
/// distance of the batches' points has not become less ten times in a row.
class MiniBatch {
 public:
  /// When it ends, and what centres are.
  struct Settings {
    int64_t batch_size;
    int64_t max_passes;  ///< over as many points as there are
    bool unit;           ///< whether centres are unit vectors
    uint64_t seed;
    std::optional<at::Device> device;  ///< as find_nearest() has it
  };
  /// What it ends with.
  struct Outcome {
    std::vector<float> centres;  ///< k×D
    int64_t iterations;          ///< batches
    bool converged;
  };

  explicit MiniBatch(const PointSet& points) : points_(points) {}

  /// From `centres`, k×D. `goes_on` is asked after each batch, with its number and the sum of the
  /// centres' squared moves. \return nothing if it returned false.
  std::optional<Outcome> run(std::vector<float> centres, const Settings& settings,
                             const std::function<bool(int64_t iteration, double shift)>& goes_on);

 private:
  const PointSet& points_;
};

}  // namespace flexae
