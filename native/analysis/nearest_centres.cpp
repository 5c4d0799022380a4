#include "analysis/nearest_centres.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "analysis/centre_groups.h"
#include "analysis/device/device_points.h"
#include "analysis/kernels/point_kernels.h"
#include "core/base/math.h"
#include "core/base/parallel.h"

namespace flexae {
namespace {

/// Centres of a group where nothing else is asked for.
constexpr int64_t kCentresOfAGroup = 32;

/// What points and centres are better measured from: the centres' mean, if that is farther from
/// zero than they are from it. Of the centres alone, so that points do not depend on each other.
std::vector<float> origin_of(const float* centres, int64_t count, int64_t width) {
  std::vector<float> means;
  double far = 0;
  double spread = 0;
  for (int64_t d = 0; d < width; ++d) {
    double sum = 0;
    double squares = 0;
    for (int64_t c = 0; c < count; ++c) {
      const double value = centres[c * width + d];
      sum += value;
      squares += value * value;
    }
    const double mean = sum / static_cast<double>(count);
    means.push_back(static_cast<float>(mean));
    far += mean * mean;
    spread += std::max(squares / static_cast<double>(count) - mean * mean, 0.0);
  }
  return far > spread ? means : std::vector<float>();
}

}  // namespace

void find_nearest(const PointSet& points, const float* centres, int64_t count, int32_t* labels,
                  float* squared_distances, std::optional<at::Device> device) {
  std::vector<float> shift = origin_of(centres, count, points.width);
  if (device) {
    DevicePoints(points.tensor, shift, *device)
        .find_nearest(centres, count, labels, squared_distances);
    return;
  }
  CentreGroups groups(groups_in_order(count, kCentresOfAGroup), points.width, std::move(shift));
  groups.set(centres);
  struct Scratch {
    CentreGroups::Block block;
    std::vector<const float*> rows;
    std::vector<int32_t> which;
    std::vector<NearestCentre> found;
    std::vector<NearestCentre> best;
  };
  std::vector<Scratch> scratch(static_cast<size_t>(at::get_num_threads()));
  const int64_t at_once = points_at_once(points.width);
  parallel_for(ceil_div(points.count, at_once), [&](int64_t item, int thread) {
    Scratch& s = scratch[static_cast<size_t>(thread)];
    const int64_t first = item * at_once;
    const auto rows = static_cast<size_t>(std::min(at_once, points.count - first));
    s.rows.resize(rows);
    s.which.resize(rows);
    s.found.resize(rows);
    for (size_t j = 0; j < rows; ++j) s.rows[j] = points.row(first + static_cast<int64_t>(j));
    std::iota(s.which.begin(), s.which.end(), 0);
    s.block.take(s.rows, points.width, groups.shift());
    for (size_t g = 0; g < groups.size(); ++g) {
      groups.search(g, s.block, s.which, s.found.data());
      if (g == 0) {
        s.best = s.found;
        continue;
      }
      for (size_t j = 0; j < rows; ++j) {
        if (s.found[j].distance < s.best[j].distance) s.best[j] = s.found[j];
      }
    }
    for (size_t j = 0; j < rows; ++j) {
      const int64_t i = first + static_cast<int64_t>(j);
      labels[i] = s.best[j].centre;
      squared_distances[i] = point_kernels().squared_distance(
          s.rows[j], centres + s.best[j].centre * points.width, points.width);
    }
  });
}

}  // namespace flexae
