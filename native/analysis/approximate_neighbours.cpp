#include "analysis/approximate_neighbours.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "analysis/neighbour_lists.h"
#include "analysis/point_checks.h"
#include "analysis/point_metric.h"
#include "analysis/projection_tree.h"
#include "analysis/quads.h"
#include "core/base/math.h"
#include "core/base/parallel.h"
#include "core/base/random.h"

namespace flexae {
namespace {

/// Up to here all pairs are compared.
constexpr int64_t kFewPoints = 2000;
constexpr int64_t kTrees = 8;
constexpr int64_t kLeastLeaf = 20;
/// Neighbours that are kept beyond the wanted: more ways to neighbours of neighbours.
constexpr int64_t kMoreKept = 5;
/// Of its fresh neighbours, and of the old, those that a point introduces to each other in a round.
constexpr int64_t kIntroduced = 24;
constexpr int kMostDescents = 16;
/// Rounds end when this share of all entries changes.
constexpr double kLittleChange = 0.002;
/// Points that a thread takes in a go.
constexpr int64_t kDescentPoints = 256;

/// Points as rows whose squared distances order neighbours, filled up to whole quads.
class QuadRows {
 public:
  explicit QuadRows(const MeasuredPoints& points)
      : stride_(round_up(points.width(), 4)),
        values_(static_cast<size_t>(points.count() * stride_)) {
    // Squares stay within fp32.
    float greatest = 0;
    for (int64_t i = 0; i < points.count() * points.width(); ++i) {
      greatest = std::max(greatest, std::abs(points.row(0)[i]));
    }
    const double scale = greatest > 0 ? 1 / static_cast<double>(greatest) : 1;
    const bool cosine = points.metric() == NeighbourMetric::kCosine;
    for (int64_t i = 0; i < points.count(); ++i) {
      const double factor = cosine ? points.inverse_length(i) : scale;
      for (int64_t d = 0; d < points.width(); ++d) {
        values_[static_cast<size_t>(i * stride_ + d)] =
            static_cast<float>(factor * static_cast<double>(points.row(i)[d]));
      }
    }
  }

  [[nodiscard]] const float* data() const { return values_.data(); }
  [[nodiscard]] int64_t stride() const { return stride_; }

  [[nodiscard]] float square(int32_t a, int32_t b) const {
    const float* x = values_.data() + a * stride_;
    const float* y = values_.data() + b * stride_;
    Quad sum{};
    for (int64_t d = 0; d < stride_; d += 4) {
      const Quad difference =
          *reinterpret_cast<const Quad*>(x + d) - *reinterpret_cast<const Quad*>(y + d);
      sum += difference * difference;
    }
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
  }

 private:
  int64_t stride_;
  std::vector<float> values_;
};

class Descent {
 public:
  Descent(const MeasuredPoints& points, int64_t k, uint64_t seed)
      : rows_(points),
        count_(points.count()),
        seed_(seed),
        lists_(count_, std::min(k + kMoreKept, count_ - 1)) {}

  NeighbourLists& run(const Progress& progress) {
    plant(part_of(progress, 0, 0.3));
    const Progress descending = part_of(progress, 0.3, 1);
    for (int round = 0; round < kMostDescents; ++round) {
      report_progress(descending, static_cast<double>(round) / kMostDescents);
      choose_introduced(static_cast<uint64_t>(round));
      introduce();
      if (fresh_share() < kLittleChange) break;
    }
    return lists_;
  }

 private:
  template <typename Body>
  void for_each_point(const Body& body) {
    parallel_for(ceil_div(count_, kDescentPoints), [&](int64_t item, int) {
      const int64_t end = std::min((item + 1) * kDescentPoints, count_);
      for (int64_t point = item * kDescentPoints; point < end; ++point) body(point);
    });
  }

  void meet(int32_t a, int32_t b) {
    if (a == b) return;
    const float square = rows_.square(a, b);
    lists_.offer(a, square, b);
    lists_.offer(b, square, a);
  }

  /// Points of a leaf meet each other, and are so many that all lists are full then.
  void plant(const Progress& progress) {
    std::vector<ProjectionTree> trees(kTrees);
    report_progress(progress, 0);
    parallel_for(kTrees, [&](int64_t t, int) {
      trees[static_cast<size_t>(t)] = projection_tree(rows_.data(), count_, rows_.stride(),
                                                      std::max(kLeastLeaf, lists_.length() + 1),
                                                      seed_, static_cast<uint64_t>(t));
    });
    for (int64_t t = 0; t < kTrees; ++t) {
      report_progress(progress, 0.5 + 0.5 * static_cast<double>(t) / kTrees);
      const ProjectionTree& tree = trees[static_cast<size_t>(t)];
      parallel_for(static_cast<int64_t>(tree.begins.size()) - 1, [&](int64_t leaf, int) {
        const int64_t end = tree.begins[static_cast<size_t>(leaf) + 1];
        for (int64_t i = tree.begins[static_cast<size_t>(leaf)]; i < end; ++i) {
          for (int64_t j = i + 1; j < end; ++j) {
            meet(tree.points[static_cast<size_t>(i)], tree.points[static_cast<size_t>(j)]);
          }
        }
      });
    }
  }

  /// For each point some that have it for a neighbour or are its own, by random priorities.
  void choose_introduced(uint64_t round) {
    reverse_begins_.assign(static_cast<size_t>(count_) + 1, 0);
    for (int64_t i = 0; i < count_; ++i) {
      for (const auto* e = lists_.begin(i); e != lists_.end(i) && e->point >= 0; ++e) {
        ++reverse_begins_[static_cast<size_t>(e->point) + 1];
      }
    }
    for (size_t i = 1; i < reverse_begins_.size(); ++i)
      reverse_begins_[i] += reverse_begins_[i - 1];
    reverse_.resize(static_cast<size_t>(reverse_begins_.back()));
    std::vector<int64_t> next(reverse_begins_.begin(), reverse_begins_.end() - 1);
    for (int64_t i = 0; i < count_; ++i) {
      for (const auto* e = lists_.begin(i); e != lists_.end(i) && e->point >= 0; ++e) {
        reverse_[static_cast<size_t>(next[static_cast<size_t>(e->point)]++)] = {
            static_cast<int32_t>(i), e->fresh};
      }
    }
    introduced_.resize(static_cast<size_t>(count_ * 2 * kIntroduced));
    for_each_point([&](int64_t point) { choose_for(point, round); });
  }

  void choose_for(int64_t point, uint64_t round) {
    using Drawn = std::pair<uint64_t, int32_t>;
    std::vector<Drawn> drawn[2];
    const auto draw = [&](int32_t other, bool fresh) {
      drawn[fresh ? 0 : 1].emplace_back(
          random_bits(seed_ ^ (round << 32), RandomPurpose::kShuffle, static_cast<uint64_t>(point),
                      static_cast<uint64_t>(other)),
          other);
    };
    for (auto* e = lists_.begin(point); e != lists_.end(point) && e->point >= 0; ++e) {
      draw(e->point, e->fresh);
    }
    for (int64_t r = reverse_begins_[static_cast<size_t>(point)];
         r < reverse_begins_[static_cast<size_t>(point) + 1]; ++r) {
      draw(reverse_[static_cast<size_t>(r)].point, reverse_[static_cast<size_t>(r)].fresh);
    }
    int32_t* to = introduced_.data() + point * 2 * kIntroduced;
    for (auto& some : drawn) {
      // A neighbour on both sides has the same priority twice.
      std::sort(some.begin(), some.end());
      some.erase(std::unique(some.begin(), some.end()), some.end());
      for (size_t i = 0; i < kIntroduced; ++i) to[i] = i < some.size() ? some[i].second : -1;
      to += kIntroduced;
    }
  }

  /// What is fresh and was chosen is old from now on; then all that were chosen meet.
  void introduce() {
    for_each_point([&](int64_t point) {
      const int32_t* fresh = introduced_.data() + point * 2 * kIntroduced;
      for (auto* e = lists_.begin(point); e != lists_.end(point) && e->point >= 0; ++e) {
        if (e->fresh && std::find(fresh, fresh + kIntroduced, e->point) != fresh + kIntroduced) {
          e->fresh = false;
        }
      }
    });
    for_each_point([&](int64_t point) {
      const int32_t* fresh = introduced_.data() + point * 2 * kIntroduced;
      const int32_t* old = fresh + kIntroduced;
      for (int64_t i = 0; i < kIntroduced && fresh[i] >= 0; ++i) {
        for (int64_t j = i + 1; j < kIntroduced && fresh[j] >= 0; ++j) meet(fresh[i], fresh[j]);
        for (int64_t j = 0; j < kIntroduced && old[j] >= 0; ++j) meet(fresh[i], old[j]);
      }
    });
  }

  /// The share of entries that came in this round, or were not chosen yet.
  double fresh_share() {
    int64_t fresh = 0;
    for (int64_t i = 0; i < count_; ++i) {
      fresh += std::count_if(lists_.begin(i), lists_.end(i),
                             [](const NeighbourLists::Entry& e) { return e.fresh; });
    }
    return static_cast<double>(fresh) / static_cast<double>(count_ * lists_.length());
  }

  struct Reverse {
    int32_t point;
    bool fresh;
  };

  QuadRows rows_;
  int64_t count_;
  uint64_t seed_;
  NeighbourLists lists_;
  std::vector<int64_t> reverse_begins_;
  std::vector<Reverse> reverse_;
  std::vector<int32_t> introduced_;
};

/// The k nearest of each list, by distances in fp64.
Neighbours nearest_of_lists(const MeasuredPoints& points, NeighbourLists& lists, int64_t k) {
  Neighbours found{at::empty({points.count(), k}, at::kInt),
                   at::empty({points.count(), k}, at::kFloat)};
  auto* indices = found.indices.mutable_data_ptr<int32_t>();
  auto* distances = found.distances.mutable_data_ptr<float>();
  parallel_for(ceil_div(points.count(), kDescentPoints), [&](int64_t item, int) {
    std::vector<std::pair<double, int32_t>> ordered;
    const int64_t end = std::min((item + 1) * kDescentPoints, points.count());
    for (int64_t i = item * kDescentPoints; i < end; ++i) {
      ordered.clear();
      for (const auto* e = lists.begin(i); e != lists.end(i) && e->point >= 0; ++e) {
        ordered.emplace_back(points.order(i, points, e->point), e->point);
      }
      std::sort(ordered.begin(), ordered.end());
      for (int64_t j = 0; j < k; ++j) {
        indices[i * k + j] = ordered[static_cast<size_t>(j)].second;
        distances[i * k + j] = points.distance(ordered[static_cast<size_t>(j)].first);
      }
    }
  });
  return found;
}

}  // namespace

Neighbours approximate_neighbours(const at::Tensor& points, int64_t k, NeighbourMetric metric,
                                  uint64_t seed, const Progress& progress) {
  const at::Tensor rows = checked_points(points, "the points");
  const int64_t count = rows.size(0);
  check_neighbour_count(k, count - 1);
  if (count <= kFewPoints) {
    return nearest_neighbours(rows, k, metric, /*exclude_self=*/true, progress);
  }
  const MeasuredPoints measured(rows, metric);
  Descent descent(measured, k, seed);
  return nearest_of_lists(measured, descent.run(progress), k);
}

}  // namespace flexae
