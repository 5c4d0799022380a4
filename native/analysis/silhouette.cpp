#include "analysis/silhouette.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "analysis/device/device_silhouette.h"
#include "analysis/kernels/point_kernels.h"
#include "analysis/labels.h"
#include "analysis/parallel_products.h"
#include "analysis/point_set.h"
#include "core/base/error.h"
#include "core/base/math.h"
#include "core/base/random.h"

namespace flexae {
namespace {

/// Points whose distances a thread computes together, and others that it takes at a time: the
/// products stay in a second-level cache.
constexpr int64_t kHere = 128;
constexpr int64_t kThere = 512;

/// Blocks of points after which it is asked whether to go on.
constexpr int64_t kBlocksAtOnce = 32;

/// Of squared distances by products, as a share of both squared lengths: less is nothing.
double rounding_of(int64_t width) {
  return std::numeric_limits<double>::epsilon() * (8 + std::sqrt(static_cast<double>(width)));
}

/// The silhouette of a point of cluster `own` with these sums of distances to the points of each.
double silhouette_of(int32_t own, const double* sums, const std::vector<int64_t>& counts) {
  const int64_t others = counts[static_cast<size_t>(own)] - 1;
  if (others == 0) return 0;
  const double a = sums[own] / static_cast<double>(others);
  double b = std::numeric_limits<double>::infinity();
  for (size_t c = 0; c < counts.size(); ++c) {
    if (static_cast<int32_t>(c) == own) continue;
    b = std::min(b, sums[c] / static_cast<double>(counts[c]));
  }
  const double greater = std::max(a, b);
  return greater > 0 ? (b - a) / greater : 0;
}

class Silhouettes {
 public:
  /// Sorts the points by their clusters, so that distances to one cluster lie together.
  Silhouettes(const PointSet& points, const DenseLabels& labels)
      : points_(points),
        counts_(labels.counts),
        order_(labels.labels.size()),
        labels_(labels.labels.size()),
        norms_(labels.labels.size()),
        mean_(static_cast<size_t>(points.width)),
        rounding_(rounding_of(points.width)),
        scratch_(static_cast<size_t>(at::get_num_threads())) {
    std::iota(order_.begin(), order_.end(), int64_t{0});
    const auto label = [&](int64_t i) { return labels.labels[static_cast<size_t>(i)]; };
    std::stable_sort(order_.begin(), order_.end(),
                     [&](int64_t a, int64_t b) { return label(a) < label(b); });
    for (size_t i = 0; i < order_.size(); ++i) labels_[i] = label(order_[i]);
    // Differences to the mean are small, and so are their products' rounding errors.
    for (int64_t i = 0; i < points.count; ++i) {
      for (size_t d = 0; d < mean_.size(); ++d) mean_[d] += points.row(i)[d];
    }
    for (double& value : mean_) value /= static_cast<double>(points.count);
    for (size_t i = 0; i < order_.size(); ++i) {
      const float* row = points.row(order_[i]);
      for (size_t d = 0; d < mean_.size(); ++d) {
        norms_[i] += (row[d] - mean_[d]) * (row[d] - mean_[d]);
      }
    }
  }

  [[nodiscard]] int64_t blocks() const { return ceil_div(points_.count, kHere); }

  /// Of the points of blocks [first, last), into values[point].
  void compute(int64_t first, int64_t last, double* values) {
    parallel_products(last - first, [&](int64_t item, int thread) {
      compute_block(first + item, thread, values);
    });
  }

 private:
  /// What a thread needs.
  struct Scratch {
    at::Tensor here;
    at::Tensor there;
    at::Tensor products;
    std::vector<double> sums;  ///< of distances, by clusters
  };

  /// Sorted rows [first, first + count) in fp64, about the mean.
  void widen(int64_t first, int64_t count, const at::Tensor& to) const {
    auto* values = to.mutable_data_ptr<double>();
    for (int64_t i = first; i < first + count; ++i) {
      const float* row = points_.row(order_[static_cast<size_t>(i)]);
      for (const double mean : mean_) *values++ = *row++ - mean;
    }
  }

  void compute_block(int64_t block, int thread, double* values) {
    Scratch& s = scratch_[static_cast<size_t>(thread)];
    if (!s.here.defined()) {
      s.here = at::empty({kHere, points_.width}, at::kDouble);
      s.there = at::empty({kThere, points_.width}, at::kDouble);
      s.products = at::empty({kHere * kThere}, at::kDouble);
    }
    const int64_t first = block * kHere;
    const int64_t rows = std::min(kHere, points_.count - first);
    widen(first, rows, s.here);
    s.sums.assign(static_cast<size_t>(rows) * counts_.size(), 0.0);
    for (int64_t other = 0; other < points_.count; other += kThere) {
      const int64_t columns = std::min(kThere, points_.count - other);
      widen(other, columns, s.there);
      at::Tensor products = s.products.narrow(0, 0, rows * columns).view({rows, columns});
      at::mm_out(products, s.here.narrow(0, 0, rows), s.there.narrow(0, 0, columns).t());
      add_distances(first, rows, other, columns, s);
    }
    for (int64_t j = 0; j < rows; ++j) {
      const auto at = static_cast<size_t>(first + j);
      const double* sums = s.sums.data() + static_cast<size_t>(j) * counts_.size();
      values[order_[at]] = silhouette_of(labels_[at], sums, counts_);
    }
  }

  /// Adds distances of sorted points [first, first + rows) and [other, other + columns) to the
  /// sums.
  void add_distances(int64_t first, int64_t rows, int64_t other, int64_t columns, Scratch& s) {
    auto* products = s.products.mutable_data_ptr<double>();
    for (int64_t j = 0; j < rows; ++j) {
      const auto at = static_cast<size_t>(first + j);
      double* row = products + j * columns;
      // To itself, none.
      if (first + j >= other && first + j < other + columns) row[first + j - other] = norms_[at];
      double* sums = s.sums.data() + static_cast<size_t>(j) * counts_.size();
      for (int64_t begin = 0; begin < columns;) {
        const int32_t cluster = labels_[static_cast<size_t>(other + begin)];
        const auto next = std::upper_bound(labels_.begin() + other + begin,
                                           labels_.begin() + other + columns, cluster);
        const int64_t end = next - labels_.begin() - other;
        sums[cluster] += point_kernels().sum_of_distances(
            row + begin, norms_.data() + other + begin, norms_[at], rounding_, end - begin);
        begin = end;
      }
    }
  }

  const PointSet& points_;
  const std::vector<int64_t>& counts_;
  std::vector<int64_t> order_;   ///< points by clusters
  std::vector<int32_t> labels_;  ///< of the points in that order
  std::vector<double> norms_;
  std::vector<double> mean_;
  double rounding_;
  std::vector<Scratch> scratch_;
};

/// The silhouette of each point. `goes_on` is asked now and then with the share that is done.
/// \return false where it was
bool silhouettes_here(const PointSet& points, const DenseLabels& labels, double* values,
                      const std::function<bool(double share)>& goes_on) {
  Silhouettes silhouettes(points, labels);
  const int64_t blocks = silhouettes.blocks();
  for (int64_t first = 0; first < blocks; first += kBlocksAtOnce) {
    const int64_t last = std::min(first + kBlocksAtOnce, blocks);
    silhouettes.compute(first, last, values);
    if (!goes_on(static_cast<double>(last) / static_cast<double>(blocks))) return false;
  }
  return true;
}

/// The same by a device.
bool silhouettes_on(at::Device device, const PointSet& points, const DenseLabels& labels,
                    double* values, const std::function<bool(double share)>& goes_on) {
  const DeviceDistanceSums distances(points, labels, rounding_of(points.width), device);
  const auto clusters = static_cast<int64_t>(labels.counts.size());
  for (int64_t first = 0; first < points.count; first += distances.rows_at_once()) {
    const int64_t rows = std::min(distances.rows_at_once(), points.count - first);
    const at::Tensor sums = distances.sums(first, rows);
    const auto* of = sums.const_data_ptr<double>();
    for (int64_t j = 0; j < rows; ++j) {
      const int32_t own = labels.labels[static_cast<size_t>(first + j)];
      values[first + j] = silhouette_of(own, of + j * clusters, labels.counts);
    }
    const double share = static_cast<double>(first + rows) / static_cast<double>(points.count);
    if (!goes_on(share)) return false;
  }
  return true;
}

}  // namespace

std::optional<Silhouette> silhouette(const at::Tensor& embeddings, const at::Tensor& labels,
                                     int64_t samples, uint64_t seed,
                                     const std::function<bool(double share)>& callback,
                                     std::optional<at::Device> device) {
  PointSet points = read_points(embeddings, /*unit=*/false);
  if (samples < 0) {
    throw Error(ErrorCode::kConfig, "expected the samples of a silhouette to be at least 0");
  }
  DenseLabels dense = read_labels(labels, "the labels of a silhouette", points.count);
  Silhouette result;
  result.points = at::arange(points.count, at::kLong);
  if (samples > 0 && samples < points.count) {
    std::vector<int64_t> drawn = random_permutation(points.count, seed, RandomPurpose::kSample, 0);
    drawn.resize(static_cast<size_t>(samples));
    std::sort(drawn.begin(), drawn.end());
    result.points = at::tensor(drawn, at::kLong);
    dense =
        read_labels(labels.index_select(0, result.points), "the labels of a silhouette", samples);
    points = gather_points(points, drawn);
  }
  const auto clusters = static_cast<int64_t>(dense.counts.size());
  if (clusters < 2 || clusters >= points.count) {
    throw Error(ErrorCode::kConfig,
                "a silhouette needs 2 clusters at least and fewer clusters "
                "than points, but there are " +
                    std::to_string(clusters) + " clusters of " + std::to_string(points.count) +
                    " points");
  }
  result.values = at::empty({points.count}, at::kDouble);
  auto* values = result.values.mutable_data_ptr<double>();
  const auto goes_on = [&](double share) { return !callback || callback(share); };
  const bool whole = device ? silhouettes_on(*device, points, dense, values, goes_on)
                            : silhouettes_here(points, dense, values, goes_on);
  if (!whole) return std::nullopt;
  // In order: at::mean's sum depends on the number of threads.
  result.mean =
      std::accumulate(values, values + points.count, 0.0) / static_cast<double>(points.count);
  return result;
}

}  // namespace flexae
