#include "analysis/trustworthiness.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "analysis/neighbours.h"
#include "analysis/point_checks.h"
#include "analysis/point_metric.h"
#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/base/random.h"

namespace flexae {
namespace {

constexpr int64_t kJudgedWhole = 5000;
constexpr int64_t kJudgedOfMore = 2000;
/// Points that are judged between two reports of progress.
constexpr int64_t kJudgedAtOnce = 256;

/// Which points are judged, in ascending order.
std::vector<int64_t> judged_points(int64_t count, const TrustworthinessOptions& options) {
  int64_t sample = options.sample;
  if (sample == 0) sample = count <= kJudgedWhole ? count : kJudgedOfMore;
  if (sample < 0) {
    throw Error(ErrorCode::kConfig, "a sample of " + std::to_string(sample) +
                                        " points cannot be judged: give 0 for a usual one");
  }
  std::vector<int64_t> judged(static_cast<size_t>(count));
  if (sample >= count) {
    std::iota(judged.begin(), judged.end(), 0);
    return judged;
  }
  judged = random_permutation(count, options.seed, RandomPurpose::kSample, /*a=*/0);
  judged.resize(static_cast<size_t>(sample));
  std::sort(judged.begin(), judged.end());
  return judged;
}

/// Σ of the ranks beyond `k` that the `k` neighbours of a point have among all others.
int64_t ranks_beyond(const MeasuredPoints& points, int64_t point, const int32_t* neighbours,
                     int64_t k, std::vector<std::pair<double, int32_t>>& order) {
  order.clear();
  for (int64_t j = 0; j < k; ++j) {
    order.emplace_back(points.order(point, points, neighbours[j]), neighbours[j]);
  }
  std::sort(order.begin(), order.end());
  // How many points lie between one neighbour and the next; the last has all that are farther.
  std::vector<int64_t> nearer(static_cast<size_t>(k) + 1);
  for (int64_t other = 0; other < points.count(); ++other) {
    if (other == point) continue;
    const std::pair<double, int32_t> here{points.order(point, points, other),
                                          static_cast<int32_t>(other)};
    if (order.back() < here) continue;
    const auto place = std::lower_bound(order.begin(), order.end(), here);
    ++nearer[static_cast<size_t>(place - order.begin())];
  }
  int64_t beyond = 0;
  int64_t rank = 0;
  for (int64_t j = 0; j < k; ++j) {
    rank += nearer[static_cast<size_t>(j)];
    beyond += std::max<int64_t>(0, rank - k);
  }
  return beyond;
}

}  // namespace

double trustworthiness(const at::Tensor& points, const at::Tensor& embedding,
                       const TrustworthinessOptions& options, const Progress& progress) {
  const at::Tensor rows = checked_points(points, "the points");
  const at::Tensor placed = checked_points(embedding, "the points' places in the map");
  const int64_t count = rows.size(0);
  const int64_t k = options.n_neighbors;
  if (placed.size(0) != count) {
    throw Error(ErrorCode::kData, "of " + std::to_string(count) + " points the map has " +
                                      std::to_string(placed.size(0)) + ": give the map of them");
  }
  if (k < 1 || 2 * k >= count) {
    throw Error(ErrorCode::kConfig, "trustworthiness is of 1 to " +
                                        std::to_string(std::max<int64_t>(0, (count - 1) / 2)) +
                                        " neighbours of " + std::to_string(count) +
                                        " points, not of " + std::to_string(k));
  }
  const std::vector<int64_t> judged = judged_points(count, options);
  const auto judged_count = static_cast<int64_t>(judged.size());
  const at::Tensor index =
      at::from_blob(const_cast<int64_t*>(judged.data()), {judged_count}, at::kLong);
  // One more than is wanted, for a point finds itself, or a double of it.
  const at::Tensor found =
      nearest_neighbours_of(placed.index_select(0, index), placed, k + 1,
                            NeighbourMetric::kEuclidean, part_of(progress, 0, 0.2))
          .indices;
  const auto* indices = found.const_data_ptr<int32_t>();
  const MeasuredPoints measured(rows, options.metric);
  const Progress ranking = part_of(progress, 0.2, 1);
  std::vector<int64_t> beyond(judged.size());
  for (int64_t begin = 0; begin < judged_count; begin += kJudgedAtOnce) {
    report_progress(ranking, static_cast<double>(begin) / static_cast<double>(judged_count));
    parallel_for(std::min(kJudgedAtOnce, judged_count - begin), [&](int64_t item, int) {
      const int64_t i = begin + item;
      const int64_t point = judged[static_cast<size_t>(i)];
      std::vector<int32_t> neighbours;
      for (int64_t j = 0; j <= k; ++j) {
        const int32_t neighbour = indices[i * (k + 1) + j];
        if (neighbour != point && static_cast<int64_t>(neighbours.size()) < k) {
          neighbours.push_back(neighbour);
        }
      }
      std::vector<std::pair<double, int32_t>> order;
      beyond[static_cast<size_t>(i)] = ranks_beyond(measured, point, neighbours.data(), k, order);
    });
  }
  const auto sum = static_cast<double>(std::accumulate(beyond.begin(), beyond.end(), int64_t{0}));
  const auto n = static_cast<double>(count);
  const auto neighbours = static_cast<double>(k);
  const double greatest = neighbours * (2 * n - 3 * neighbours - 1) / 2;
  return 1 - sum / (static_cast<double>(judged_count) * greatest);
}

}  // namespace flexae
