#include "analysis/umap_layout.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "analysis/edge_schedule.h"
#include "analysis/map_mover.h"
#include "core/base/math.h"
#include "core/base/parallel.h"
#include "core/base/random.h"

namespace flexae {
namespace {

// An edge that is drawn pulls both its ends together, as umap-learn's does, which moves one pair
// after the other. Here an epoch has a few turns, and in each every point is moved by the forces
// where all were before the turn. So both ends of an edge see the same force, whichever thread
// computes it, and the pair's middle stays where it is. That is more than a detail: where each end
// sees the other at another time, maps come out torn. In one turn instead of a few, so many edges
// pull at once that points are thrown far beyond their neighbours.

/// Points that a thread takes in a go.
constexpr int64_t kPointsAtOnce = 512;

/// Positions with each filled up to whole quads.
class PaddedMap {
 public:
  explicit PaddedMap(const at::Tensor& map)
      : dims_(map.size(1)),
        stride_(round_up(dims_, 4)),
        values_(static_cast<size_t>(map.size(0) * stride_)) {
    const auto* from = map.const_data_ptr<float>();
    for (int64_t i = 0; i < map.size(0); ++i) {
      std::copy(from + i * dims_, from + (i + 1) * dims_, at(i));
    }
  }

  float* at(int64_t point) { return values_.data() + point * stride_; }
  float* data() { return values_.data(); }
  [[nodiscard]] int64_t quads() const { return stride_ / 4; }

  void copy_to(const at::Tensor& map) {
    auto* to = map.mutable_data_ptr<float>();
    for (int64_t i = 0; i < map.size(0); ++i) std::copy(at(i), at(i) + dims_, to + i * dims_);
  }
  void swap(PaddedMap& other) { values_.swap(other.values_); }

 private:
  int64_t dims_;
  int64_t stride_;
  std::vector<float> values_;
};

/// What all points of an epoch share.
struct MapEpoch {
  uint64_t number;
  float rate;  ///< The learning rate.
};

/// body(epoch) for each, with the learning rate that falls as umap-learn's.
template <typename Body>
void for_each_epoch(const LayoutOptions& options, const Progress& progress, const Body& body) {
  const auto epochs = static_cast<double>(options.epochs);
  // Nothing is due in the first.
  for (int64_t n = 1; n < options.epochs; ++n) {
    report_progress(progress, static_cast<double>(n) / epochs);
    const double left = 1 - static_cast<double>(n - 1) / epochs;
    body(MapEpoch{static_cast<uint64_t>(n), static_cast<float>(options.learning_rate * left)});
  }
}

/// body(first, last) for stretches of points, on all threads.
template <typename Body>
void for_each_stretch(int64_t points, const Body& body) {
  parallel_for(ceil_div(points, kPointsAtOnce), [&](int64_t item, int) {
    body(item * kPointsAtOnce, std::min((item + 1) * kPointsAtOnce, points));
  });
}

/// Calls body(integral constant) with the number of quads, or 0 where there are many.
template <typename Body>
void with_quads(int64_t quads, const Body& body) {
  switch (quads) {
    case 1:
      return body(std::integral_constant<int, 1>());
    case 2:
      return body(std::integral_constant<int, 2>());
    case 3:
      return body(std::integral_constant<int, 3>());
    case 4:
      return body(std::integral_constant<int, 4>());
    default:
      return body(std::integral_constant<int, 0>());
  }
}

/// Of the numbers by which points are drawn to repel this one.
uint64_t sample_state(uint64_t seed, uint64_t epoch, int64_t turn, int64_t point) {
  return random_bits(seed, RandomPurpose::kSample, epoch << 16 | static_cast<uint64_t>(turn),
                     static_cast<uint64_t>(point));
}

/// Moves points [first, last) in a turn of an epoch from where they are in `from` to `to`, by the
/// forces of `others`.
template <typename Mover>
void move_stretch(int64_t first, int64_t last, const MapEpoch& epoch, int64_t turn, bool mirrored,
                  const EdgeSchedule& schedule, const Mover& mover, uint64_t seed, PaddedMap& from,
                  PaddedMap& to, const float* others) {
  struct Chosen {
    std::vector<int32_t> points;
    int64_t attracting;
    int64_t all;
  };
  const auto room = static_cast<size_t>(2 * schedule.most() + 1 + mover.room(schedule.most()));
  Chosen chosen[2] = {{std::vector<int32_t>(room), 0, 0}, {std::vector<int32_t>(room), 0, 0}};
  const auto choose = [&](int64_t point, Chosen& to_fill) {
    int32_t* points = to_fill.points.data();
    const auto drawn = schedule.drawn_in(point, epoch.number, turn, mirrored, points);
    to_fill.attracting = drawn.attracting;
    to_fill.all = mover.draw_for(points, drawn.attracting, drawn.own,
                                 sample_state(seed, epoch.number, turn, point), others);
  };
  choose(first, chosen[0]);
  for (int64_t point = first; point < last; ++point) {
    // What moves the next point is on its way while this one is moved.
    const Chosen& now = chosen[(point - first) % 2];
    if (point + 1 < last) choose(point + 1, chosen[(point + 1 - first) % 2]);
    mover.move(from.at(point), to.at(point), others, now.points.data(), now.attracting, now.all,
               epoch.rate);
  }
}

}  // namespace

void optimize_layout(const at::Tensor& map, const FuzzyGraph& graph, const LayoutOptions& options,
                     const Progress& progress) {
  const int64_t points = map.size(0);
  EdgeSchedule schedule(graph);
  PaddedMap places(map);
  with_quads(places.quads(), [&](auto quads) {
    const MapMover<decltype(quads)::value> mover(options, points, places.quads());
    PaddedMap moved(map);
    for_each_epoch(options, progress, [&](const MapEpoch& epoch) {
      for (int64_t turn = 0; turn < schedule.turns(); ++turn) {
        for_each_stretch(points, [&](int64_t first, int64_t last) {
          if (turn == 0) schedule.begin_epoch(first, last, epoch.number);
          move_stretch(first, last, epoch, turn, /*mirrored=*/true, schedule, mover, options.seed,
                       places, moved, places.data());
        });
        places.swap(moved);
      }
    });
  });
  places.copy_to(map);
}

void optimize_new_points(const at::Tensor& map, const at::Tensor& others, const FuzzyGraph& graph,
                         const LayoutOptions& options, const Progress& progress) {
  EdgeSchedule schedule(graph);
  PaddedMap fixed(others);
  PaddedMap places(map);
  with_quads(places.quads(), [&](auto quads) {
    const MapMover<decltype(quads)::value> mover(options, others.size(0), places.quads());
    for_each_epoch(options, progress, [&](const MapEpoch& epoch) {
      for_each_stretch(map.size(0), [&](int64_t first, int64_t last) {
        schedule.begin_epoch(first, last, epoch.number);
        // New points know nothing of each other, so threads need not wait between turns.
        for (int64_t turn = 0; turn < schedule.turns(); ++turn) {
          move_stretch(first, last, epoch, turn, /*mirrored=*/false, schedule, mover, options.seed,
                       places, places, fixed.data());
        }
      });
    });
  });
  places.copy_to(map);
}

}  // namespace flexae
