#include "analysis/neighbours.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "analysis/device/device_neighbours.h"
#include "analysis/distance_factors.h"
#include "analysis/kept_nearest.h"
#include "analysis/point_checks.h"
#include "analysis/point_metric.h"
#include "core/base/math.h"
#include "core/base/parallel.h"

namespace flexae {
namespace {

// Products are computed by blocks in fp32 and find some more candidates than are wanted. Of these
// the distances are computed in fp64, and where rounding may have hidden a nearer point, those of
// all points. So the result is exact, and how products round has no part in it.

/// Points of a block: its orders stay in a core's cache.
constexpr int64_t kBlock = 512;
constexpr int64_t kLeastBlock = 64;
/// Orders that are compared at once.
constexpr int64_t kGroup = 16;
/// Rows whose candidates one thread compares in a go.
constexpr int64_t kRowsAtOnce = 64;

/// A candidate with its order in fp64.
struct Candidate {
  double order;
  int32_t point;
  bool operator<(const Candidate& other) const {
    return order != other.order ? order < other.order : point < other.point;
  }
};

/// Offers a block of orders to the queries of its rows, and if `both`, to those of its columns.
template <bool both>
void offer_block(const float* orders, int64_t rows, int64_t columns, int64_t first_row,
                 int64_t first_column, KeptNearest& kept) {
  const float* row_bounds = kept.bounds() + first_row;
  const float* column_bounds = kept.bounds() + first_column;
  const auto offer = [&](int64_t r, int64_t c, float order) {
    if (order < row_bounds[r]) {
      kept.offer(first_row + r, order, static_cast<int32_t>(first_column + c));
    }
    if (both && order < column_bounds[c]) {
      kept.offer(first_column + c, order, static_cast<int32_t>(first_row + r));
    }
  };
  for (int64_t r = 0; r < rows; ++r) {
    const float* row = orders + r * columns;
    int64_t c = 0;
    for (; c + kGroup <= columns; c += kGroup) {
      const float bound = row_bounds[r];
      int32_t any = 0;
      for (int64_t l = 0; l < kGroup; ++l) {
        any |= static_cast<int32_t>(row[c + l] < bound);
        if (both) any |= static_cast<int32_t>(row[c + l] < column_bounds[c + l]);
      }
      if (any == 0) continue;
      for (int64_t l = 0; l < kGroup; ++l) offer(r, c + l, row[c + l]);
    }
    for (; c < columns; ++c) offer(r, c, row[c]);
  }
}

/// A search of the nearest of all points for all queries.
class ExactSearch {
 public:
  ExactSearch(const MeasuredPoints& queries, const MeasuredPoints& points, int64_t k,
              bool exclude_self)
      : queries_(queries),
        points_(points),
        k_(k),
        exclude_self_(exclude_self),
        available_(points.count() - (exclude_self ? 1 : 0)),
        candidates_(std::min(k + std::max<int64_t>(8, k / 2), available_)),
        factors_(queries, points),
        kept_(queries.count(), candidates_),
        orders_(static_cast<size_t>(at::get_num_threads())) {}

  Neighbours run(const Progress& progress, std::optional<at::Device> device) {
    if (device) {
      keep_nearest_on(*device, factors_, exclude_self_, candidates_, kept_, progress);
    } else if (&queries_ == &points_) {
      multiply_among_themselves(progress);
    } else {
      multiply(progress);
    }
    return refine();
  }

 private:
  /// The products of a block of queries and one of points, in the thread's buffer.
  float* product(int64_t first_query, int64_t queries, int64_t first_point, int64_t points,
                 int thread) {
    at::Tensor& buffer = orders_[static_cast<size_t>(thread)];
    if (!buffer.defined()) buffer = at::empty({kBlock * kBlock}, at::kFloat);
    at::Tensor block = buffer.narrow(0, 0, queries * points).view({queries, points});
    at::mm_out(block, factors_.queries().narrow(0, first_query, queries),
               factors_.points().narrow(0, first_point, points).t());
    return block.mutable_data_ptr<float>();
  }

  void multiply(const Progress& progress) {
    const int64_t blocks = ceil_div(queries_.count(), kBlock);
    const int64_t at_once = std::max<int64_t>(1, at::get_num_threads()) * 4;
    for (int64_t begin = 0; begin < blocks; begin += at_once) {
      report_progress(progress, static_cast<double>(begin) / static_cast<double>(blocks));
      parallel_for(std::min(at_once, blocks - begin), [&](int64_t item, int thread) {
        const int64_t first = (begin + item) * kBlock;
        const int64_t rows = std::min(kBlock, queries_.count() - first);
        for (int64_t point = 0; point < points_.count(); point += kBlock) {
          const int64_t columns = std::min(kBlock, points_.count() - point);
          const float* orders = product(first, rows, point, columns, thread);
          offer_block<false>(orders, rows, columns, first, point, kept_);
        }
      });
    }
  }

  /// A block serves the queries of both its sides. Pairs of blocks meet as teams in a tournament:
  /// in a round each has one partner at most, so that no two threads offer to the same query.
  void multiply_among_themselves(const Progress& progress) {
    const int64_t count = points_.count();
    const int64_t block = std::clamp(round_up(ceil_div(count, 32), kGroup), kLeastBlock, kBlock);
    const int64_t blocks = ceil_div(count, block);
    std::vector<std::pair<int64_t, int64_t>> pairs;
    for (int64_t round = 0; round < blocks; ++round) {
      report_progress(progress, static_cast<double>(round) / static_cast<double>(blocks));
      pairs.clear();
      for (int64_t a = 0; a < blocks; ++a) {
        const int64_t b = (round - a + blocks) % blocks;
        if (a <= b) pairs.emplace_back(a, b);
      }
      parallel_for(static_cast<int64_t>(pairs.size()), [&](int64_t item, int thread) {
        const auto [a, b] = pairs[static_cast<size_t>(item)];
        const int64_t row = a * block;
        const int64_t column = b * block;
        const int64_t rows = std::min(block, count - row);
        const int64_t columns = std::min(block, count - column);
        float* orders = product(row, rows, column, columns, thread);
        if (a != b) {
          offer_block<true>(orders, rows, columns, row, column, kept_);
          return;
        }
        for (int64_t i = 0; exclude_self_ && i < rows; ++i) {
          orders[i * columns + i] = std::numeric_limits<float>::infinity();
        }
        offer_block<false>(orders, rows, columns, row, column, kept_);
      });
    }
  }

  /// Distances in fp64 of the candidates, and the nearest of them.
  Neighbours refine() {
    Neighbours found{at::empty({queries_.count(), k_}, at::kInt),
                     at::empty({queries_.count(), k_}, at::kFloat)};
    auto* indices = found.indices.mutable_data_ptr<int32_t>();
    auto* distances = found.distances.mutable_data_ptr<float>();
    parallel_for(ceil_div(queries_.count(), kRowsAtOnce), [&](int64_t item, int) {
      std::vector<Candidate> candidates;
      const int64_t end = std::min((item + 1) * kRowsAtOnce, queries_.count());
      for (int64_t query = item * kRowsAtOnce; query < end; ++query) {
        compare_kept(query, candidates);
        if (!surely_nearest(query, candidates)) compare_all(query, candidates);
        for (int64_t j = 0; j < k_; ++j) {
          const Candidate& candidate = candidates[static_cast<size_t>(j)];
          indices[query * k_ + j] = candidate.point;
          distances[query * k_ + j] = points_.distance(candidate.order);
        }
      }
    });
    return found;
  }

  void compare_kept(int64_t query, std::vector<Candidate>& candidates) const {
    candidates.clear();
    for (const auto* entry = kept_.begin(query); entry != kept_.end(query); ++entry) {
      candidates.push_back({queries_.order(query, points_, entry->point), entry->point});
    }
    std::sort(candidates.begin(), candidates.end());
  }

  /// Whether no point that was not kept can be among the k nearest, however products were rounded.
  [[nodiscard]] bool surely_nearest(int64_t query, const std::vector<Candidate>& candidates) const {
    if (static_cast<int64_t>(candidates.size()) < k_) return false;
    if (static_cast<int64_t>(candidates.size()) == available_) return true;
    const double last = candidates[static_cast<size_t>(k_ - 1)].order * factors_.scale();
    return static_cast<double>(kept_.bounds()[query]) - factors_.error(query, last) > last;
  }

  void compare_all(int64_t query, std::vector<Candidate>& candidates) const {
    candidates.clear();
    for (int64_t point = 0; point < points_.count(); ++point) {
      if (exclude_self_ && point == query) continue;
      const Candidate candidate{queries_.order(query, points_, point), static_cast<int32_t>(point)};
      if (static_cast<int64_t>(candidates.size()) < k_) {
        candidates.push_back(candidate);
        std::push_heap(candidates.begin(), candidates.end());
      } else if (candidate < candidates.front()) {
        std::pop_heap(candidates.begin(), candidates.end());
        candidates.back() = candidate;
        std::push_heap(candidates.begin(), candidates.end());
      }
    }
    std::sort_heap(candidates.begin(), candidates.end());
  }

  const MeasuredPoints& queries_;
  const MeasuredPoints& points_;
  int64_t k_;
  bool exclude_self_;
  int64_t available_;
  int64_t candidates_;
  DistanceFactors factors_;
  KeptNearest kept_;
  std::vector<at::Tensor> orders_;
};

}  // namespace

Neighbours nearest_neighbours(const at::Tensor& points, int64_t k, NeighbourMetric metric,
                              bool exclude_self, const Progress& progress,
                              std::optional<at::Device> device) {
  const at::Tensor rows = checked_points(points, "the points");
  check_neighbour_count(k, rows.size(0) - (exclude_self ? 1 : 0));
  const MeasuredPoints measured(rows, metric);
  return ExactSearch(measured, measured, k, exclude_self).run(progress, device);
}

Neighbours nearest_neighbours_of(const at::Tensor& queries, const at::Tensor& points, int64_t k,
                                 NeighbourMetric metric, const Progress& progress,
                                 std::optional<at::Device> device) {
  const at::Tensor rows = checked_points(points, "the points");
  const at::Tensor asked = checked_points(queries, "the queries");
  check_same_width(rows, asked, "the queries");
  check_neighbour_count(k, rows.size(0));
  const MeasuredPoints measured(rows, metric);
  const MeasuredPoints measured_queries(asked, metric);
  return ExactSearch(measured_queries, measured, k, /*exclude_self=*/false).run(progress, device);
}

}  // namespace flexae
