#include "analysis/lloyd.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "analysis/kernels/point_kernels.h"
#include "core/base/math.h"
#include "core/base/parallel.h"

namespace flexae {
namespace {

/// Bounds give way by this share, so that rounding cannot make them wrong.
constexpr float kUp = 1.0F + 2e-6F;
constexpr float kDown = 1.0F - 2e-6F;

/// So few centres are compared at once: before that, the distance to the own one saves nothing.
constexpr int64_t kFewCentres = 16;

/// Centres of a group: one register tile on any processor.
constexpr int64_t kGroupSize = 32;

float root_of(float squared) {
  return std::sqrt(std::max(squared, 0.0F));
}

}  // namespace

/// A point that is looked at.
struct LookedAt {
  int64_t point;
  int32_t centre;  ///< the nearest so far
  float upper;     ///< it is at most that far,
  float lower;     ///< and at least that
};

struct Lloyd::Scratch {
  CentreGroups::Block block;
  std::vector<LookedAt> points;
  std::vector<int64_t> places;
  std::vector<const float*> rows;
  std::vector<float> norms;
  std::vector<int32_t> which;
  std::vector<NearestCentre> found;
};

void Lloyd::reset(const std::vector<float>& centres) {
  k_ = static_cast<int64_t>(centres.size()) / points_.width;
  // Bounds by groups take no more memory than half of the points, or 8 numbers a point.
  const int64_t most = std::max<int64_t>(points_.width / 2, 8);
  const int64_t count = std::min(ceil_div(k_, kGroupSize), most);
  const int64_t size = round_up(ceil_div(k_, count), std::min(kGroupSize, k_));
  groups_.emplace(groups_of_near(centres.data(), k_, points_.width, size), points_.width,
                  points_.shift);
  sums_.emplace(k_, points_.width);
  const auto k = static_cast<size_t>(k_);
  const auto n = static_cast<size_t>(points_.count);
  group_of_.resize(k);
  for (size_t g = 0; g < groups_->size(); ++g) {
    for (const int32_t c : groups_->members(g)) {
      group_of_[static_cast<size_t>(c)] = static_cast<int32_t>(g);
    }
  }
  labels_.assign(n, -1);
  upper_.resize(n);
  lower_.resize(n);
  if (groups_->size() > 1) {
    group_lower_ = std::make_unique_for_overwrite<float[]>(n * groups_->size());
  }
  group_way_.assign(groups_->size(), 0.0);
  moved_.assign(k, {});
}

std::optional<Lloyd::Outcome> Lloyd::run(
    std::vector<float> centres, const Settings& settings,
    const std::function<bool(int64_t iteration, double shift)>& goes_on) {
  reset(centres);
  for (int64_t iteration = 1; iteration <= settings.max_iterations; ++iteration) {
    const bool first_time = iteration == 1;
    groups_->set(centres.data());
    if (!first_time) measure_gaps(centres);
    const std::vector<CentreChange> changes = search(centres, first_time);
    if (changes.empty()) return Outcome{std::move(centres), iteration, true};
    sums_->apply(points_, changes);
    fill_empty(centres);
    std::vector<float> moved = sums_->means(centres, settings.unit);
    const double shift = note_moves(centres, moved);
    centres = std::move(moved);
    if (!goes_on(iteration, shift)) return std::nullopt;
    if (shift <= settings.tolerance) return Outcome{std::move(centres), iteration, true};
  }
  return Outcome{std::move(centres), settings.max_iterations, false};
}

void Lloyd::measure_gaps(const std::vector<float>& centres) {
  // Where it takes more than a small part of an iteration it does not pay.
  constexpr int64_t kShare = 32;
  if (k_ < 2 || k_ > points_.count / kShare) return;
  const int64_t at_once = points_at_once(points_.width);
  std::vector<Scratch> scratch(static_cast<size_t>(at::get_num_threads()));
  parallel_for(ceil_div(k_, at_once), [&](int64_t item, int thread) {
    Scratch& s = scratch[static_cast<size_t>(thread)];
    const int64_t begin = item * at_once;
    const auto rows = static_cast<size_t>(std::min(at_once, k_ - begin));
    s.rows.resize(rows);
    for (size_t j = 0; j < rows; ++j) {
      s.rows[j] = centres.data() + (begin + static_cast<int64_t>(j)) * points_.width;
    }
    s.block.take(s.rows, points_.width, points_.shift);
    s.which.resize(rows);
    std::iota(s.which.begin(), s.which.end(), 0);
    s.found.resize(rows);
    std::vector<float> nearest(rows, std::numeric_limits<float>::infinity());
    for (size_t g = 0; g < groups_->size(); ++g) {
      groups_->search(g, s.block, s.which, s.found.data());
      for (size_t j = 0; j < rows; ++j) {
        const bool itself = s.found[j].centre == begin + static_cast<int64_t>(j);
        nearest[j] = std::min(nearest[j], itself ? s.found[j].second : s.found[j].distance);
      }
    }
    for (size_t j = 0; j < rows; ++j) {
      const float least = nearest[j] - groups_->error(s.block.norm(j));
      moved_[static_cast<size_t>(begin) + j].gap = 0.5F * kDown * root_of(least);
    }
  });
}

std::vector<CentreChange> Lloyd::search(const std::vector<float>& centres, bool first_time) {
  const int64_t at_once = points_at_once(points_.width);
  const int64_t blocks = ceil_div(points_.count, at_once);
  std::vector<std::vector<CentreChange>> changes(static_cast<size_t>(blocks));
  std::vector<Scratch> scratch(static_cast<size_t>(at::get_num_threads()));
  parallel_for(blocks, [&](int64_t block, int thread) {
    search_block(block * at_once, std::min((block + 1) * at_once, points_.count), centres,
                 first_time, scratch[static_cast<size_t>(thread)],
                 changes[static_cast<size_t>(block)]);
  });
  std::vector<CentreChange> all;
  for (const auto& some : changes) all.insert(all.end(), some.begin(), some.end());
  return all;
}

void Lloyd::search_block(int64_t begin, int64_t end, const std::vector<float>& centres,
                         bool first_time, Scratch& s, std::vector<CentreChange>& changes) {
  if (first_time) {
    s.points.clear();
    for (int64_t i = begin; i < end; ++i) {
      s.points.push_back({i, -1, std::numeric_limits<float>::infinity(), 0});
    }
  } else {
    doubt(begin, end, centres, s);
  }
  if (s.points.empty()) return;
  s.rows.resize(s.points.size());
  s.norms.resize(s.points.size());
  s.found.resize(s.points.size());
  for (size_t j = 0; j < s.points.size(); ++j) {
    s.rows[j] = points_.row(s.points[j].point);
    s.norms[j] = points_.norms[static_cast<size_t>(s.points[j].point)];
  }
  s.block.take(s.rows, s.norms, points_.width, points_.shift);
  search_groups(centres, first_time, s);
  for (const LookedAt& p : s.points) {
    const auto at = static_cast<size_t>(p.point);
    upper_[at] = p.upper;
    if (groups_->size() > 1) {
      float least = std::numeric_limits<float>::infinity();
      for (size_t g = 0; g < groups_->size(); ++g) {
        least = std::min(least, kept(p.point, g) - static_cast<float>(group_way_[g]));
      }
      lower_[at] = least;
    }
    if (labels_[at] == p.centre) continue;
    changes.push_back({p.point, labels_[at], p.centre});
    labels_[at] = p.centre;
  }
}

void Lloyd::doubt(int64_t begin, int64_t end, const std::vector<float>& centres, Scratch& s) {
  // Without branches, which nobody could foretell.
  s.places.resize(static_cast<size_t>(end - begin));
  size_t count = 0;
  for (int64_t i = begin; i < end; ++i) {
    const auto at = static_cast<size_t>(i);
    const Moved& moved = moved_[static_cast<size_t>(labels_[at])];
    const float upper = upper_[at] + moved.own;
    const float lower = lower_[at] - moved.others;
    upper_[at] = upper;
    lower_[at] = lower;
    s.places[count] = i;
    count += upper > std::max(lower, moved.gap) ? 1 : 0;
  }
  s.points.resize(count);
  count = 0;
  for (size_t p = 0; p < s.points.size(); ++p) {
    const int64_t i = s.places[p];
    const auto at = static_cast<size_t>(i);
    if (k_ <= kFewCentres) {
      s.points[count++] = {i, labels_[at], upper_[at], 0};
      continue;
    }
    // How far it is indeed: often that is enough.
    const float distance = distance_to(i, labels_[at], centres);
    upper_[at] = kUp * distance;
    s.points[count] = {i, labels_[at], upper_[at], kDown * distance};
    const float gap = moved_[static_cast<size_t>(labels_[at])].gap;
    count += upper_[at] > std::max(lower_[at], gap) ? 1 : 0;
  }
  s.points.resize(count);
}

float Lloyd::distance_to(int64_t point, int32_t centre, const std::vector<float>& centres) const {
  return root_of(point_kernels().squared_distance(
      points_.row(point), centres.data() + centre * points_.width, points_.width));
}

void Lloyd::search_groups(const std::vector<float>& centres, bool first_time, Scratch& s) {
  const bool several = groups_->size() > 1;
  for (size_t g = 0; g < groups_->size(); ++g) {
    const auto way = static_cast<float>(group_way_[g]);
    s.which.clear();
    for (size_t j = 0; j < s.points.size(); ++j) {
      if (first_time || !several || kept(s.points[j].point, g) - way < s.points[j].upper) {
        s.which.push_back(static_cast<int32_t>(j));
      }
    }
    if (s.which.empty()) continue;
    groups_->search(g, s.block, s.which, s.found.data());
    for (size_t w = 0; w < s.which.size(); ++w) {
      const auto j = static_cast<size_t>(s.which[w]);
      const NearestCentre& found = s.found[w];
      LookedAt& p = s.points[j];
      const float error = groups_->error(s.block.norm(j));
      const float upper = root_of(found.distance + error);
      float others = root_of(found.distance - error);
      if (found.centre != p.centre && k_ <= kFewCentres && !first_time) {
        // This has not been done yet.
        p.upper = kUp * distance_to(p.point, p.centre, centres);
      }
      if (found.centre == p.centre) {
        p.upper = std::min(p.upper, upper);
        others = root_of(found.second - error);
      } else if (upper < p.upper) {
        // Not for less than rounding: a point must not go back and forth.
        if (several && p.centre >= 0) {
          const auto left = static_cast<size_t>(group_of_[static_cast<size_t>(p.centre)]);
          float& bound = kept(p.point, left);
          bound = std::min(bound, p.lower + static_cast<float>(group_way_[left]));
        }
        p.lower = others;
        p.upper = upper;
        p.centre = found.centre;
        others = root_of(found.second - error);
      }
      if (several) {
        kept(p.point, g) = others + way;
      } else {
        lower_[static_cast<size_t>(p.point)] = others;
      }
    }
  }
}

void Lloyd::fill_empty(const std::vector<float>& centres) {
  const std::vector<int32_t> empty = sums_->without_points();
  if (empty.empty()) return;
  std::vector<float> squared(static_cast<size_t>(points_.count));
  constexpr int64_t kPoints = 1024;
  parallel_for(ceil_div(points_.count, kPoints), [&](int64_t block, int) {
    for (int64_t i = block * kPoints; i < std::min((block + 1) * kPoints, points_.count); ++i) {
      const auto at = static_cast<size_t>(i);
      squared[at] = point_kernels().squared_distance(
          points_.row(i), centres.data() + labels_[at] * points_.width, points_.width);
    }
  });
  std::vector<int64_t> farthest(squared.size());
  std::iota(farthest.begin(), farthest.end(), 0);
  const auto taken = std::min(empty.size(), farthest.size());
  std::partial_sort(farthest.begin(), farthest.begin() + static_cast<int64_t>(taken),
                    farthest.end(), [&](int64_t a, int64_t b) {
                      const float x = squared[static_cast<size_t>(a)];
                      const float y = squared[static_cast<size_t>(b)];
                      return x > y || (x == y && a < b);
                    });
  std::vector<CentreChange> changes;
  for (size_t e = 0; e < taken; ++e) {
    const auto at = static_cast<size_t>(farthest[e]);
    // More centres than different points.
    if (squared[at] == 0) break;
    changes.push_back({farthest[e], labels_[at], empty[e]});
    labels_[at] = empty[e];
    upper_[at] = 0;
    // Nothing is known of the others.
    lower_[at] = -1;
    for (size_t g = 0; groups_->size() > 1 && g < groups_->size(); ++g) kept(farthest[e], g) = -1;
  }
  std::sort(changes.begin(), changes.end(),
            [](const CentreChange& a, const CentreChange& b) { return a.point < b.point; });
  sums_->apply(points_, changes);
}

double Lloyd::note_moves(const std::vector<float>& from, const std::vector<float>& to) {
  const auto width = static_cast<size_t>(points_.width);
  double shift = 0;
  size_t farthest = 0;
  float greatest = 0;
  float second = 0;
  std::vector<float> ways(groups_->size());
  for (size_t c = 0; c < moved_.size(); ++c) {
    double squared = 0;
    for (size_t d = 0; d < width; ++d) {
      const double move = static_cast<double>(to[c * width + d]) - from[c * width + d];
      squared += move * move;
    }
    shift += squared;
    const float move = moved_[c].own = kUp * static_cast<float>(std::sqrt(squared));
    if (move > greatest) {
      second = std::exchange(greatest, move);
      farthest = c;
    } else {
      second = std::max(second, move);
    }
    float& way = ways[static_cast<size_t>(group_of_[c])];
    way = std::max(way, move);
  }
  for (size_t c = 0; c < moved_.size(); ++c) moved_[c].others = c == farthest ? second : greatest;
  for (size_t g = 0; g < ways.size(); ++g) group_way_[g] += ways[g];
  return shift;
}

}  // namespace flexae
