#include "analysis/kmeans_seeding.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "analysis/kernels/point_kernels.h"
#include "core/base/math.h"
#include "core/base/parallel.h"
#include "core/base/random.h"
#include "core/cpu/packed_weight.h"

namespace flexae {
namespace {

/// A point that is nearer to a candidate than to the centres so far.
struct Nearer {
  int32_t place;  ///< in its block
  float squared;
};

/// What a block of points has to say about the candidates.
struct SeedBlock {
  std::vector<std::vector<Nearer>> nearer;  ///< by candidate
  std::vector<double> gains;                ///< by candidate: how much less the distances become
  double potential = 0;                     ///< the sum of distances to the nearest centre
};

/// What a thread needs for a block.
struct SeedScratch {
  std::vector<int64_t> indices;
  std::vector<const float*> rows;
  std::vector<float> shifted;
  std::vector<float*> out;
  std::vector<float> products;
};

class Seeding {
 public:
  Seeding(const PointSet& points, uint64_t seed)
      : points_(points),
        seed_(seed),
        at_once_(points_at_once(points.width)),
        blocks_(static_cast<size_t>(ceil_div(points.count, at_once_))),
        closest_(static_cast<size_t>(points.count), std::numeric_limits<float>::infinity()),
        owner_(static_cast<size_t>(points.count)),
        scratch_(static_cast<size_t>(at::get_num_threads())),
        origin_(points.shift.empty() ? std::vector<float>(static_cast<size_t>(points.width))
                                     : points.shift) {}

  /// The first centre: any point.
  void begin() { take({static_cast<int64_t>(uniform(0, 0) * static_cast<double>(points_.count))}); }

  /// The next one, of several candidates.
  void add(int64_t candidates) {
    const auto step = static_cast<uint64_t>(chosen_.size());
    double potential = 0;
    for (const SeedBlock& block : blocks_) potential += block.potential;
    std::vector<int64_t> drawn;
    for (int64_t t = 0; t < candidates; ++t) {
      drawn.push_back(draw(uniform(step, static_cast<uint64_t>(t)), potential));
    }
    take(drawn);
  }

  [[nodiscard]] const std::vector<int64_t>& chosen() const { return chosen_; }

 private:
  /// In [0, 1).
  [[nodiscard]] double uniform(uint64_t step, uint64_t trial) const {
    return seeding_share(seed_, step, trial);
  }

  /// The point at the share `u` of the potential.
  [[nodiscard]] int64_t draw(double u, double potential) const {
    // All points are centres already, or like them.
    if (!(potential > 0)) return static_cast<int64_t>(u * static_cast<double>(points_.count));
    double left = u * potential;
    int64_t last = 0;
    for (size_t b = 0; b < blocks_.size(); ++b) {
      if (left >= blocks_[b].potential) {
        left -= blocks_[b].potential;
        continue;
      }
      const int64_t first = static_cast<int64_t>(b) * at_once_;
      for (int64_t i = first; i < std::min(first + at_once_, points_.count); ++i) {
        const double squared = closest_[static_cast<size_t>(i)];
        if (squared > 0) last = i;
        if (left < squared) return i;
        left -= squared;
      }
      // Rounding has left something: the last point that can be drawn.
      if (left >= 0 && closest_[static_cast<size_t>(last)] > 0) return last;
    }
    const auto farthest = std::max_element(closest_.begin(), closest_.end());
    return farthest - closest_.begin();
  }

  /// Takes the best of the candidates.
  void take(const std::vector<int64_t>& candidates) {
    const size_t count = candidates.size();
    pack(candidates);
    limit(candidates);
    parallel_for(static_cast<int64_t>(blocks_.size()),
                 [&](int64_t b, int thread) { compare(b, candidates, thread); });
    std::vector<double> gains(count);
    for (const SeedBlock& block : blocks_) {
      for (size_t t = 0; t < count; ++t) gains[t] += block.gains[t];
    }
    const auto best =
        static_cast<size_t>(std::max_element(gains.begin(), gains.end()) - gains.begin());
    const auto number = static_cast<int32_t>(chosen_.size());
    chosen_.push_back(candidates[best]);
    parallel_for(static_cast<int64_t>(blocks_.size()), [&](int64_t b, int) {
      SeedBlock& block = blocks_[static_cast<size_t>(b)];
      if (block.nearer[best].empty()) return;
      for (const Nearer& nearer : block.nearer[best]) {
        const auto at = static_cast<size_t>(b * at_once_ + nearer.place);
        closest_[at] = nearer.squared;
        owner_[at] = number;
      }
      const auto first = closest_.begin() + b * at_once_;
      const auto last = closest_.begin() + std::min((b + 1) * at_once_, points_.count);
      block.potential = std::accumulate(first, last, 0.0);
    });
  }

  /// The candidates as a factor of products.
  void pack(const std::vector<int64_t>& candidates) {
    const auto count = static_cast<int64_t>(candidates.size());
    const int64_t width = points_.width;
    std::vector<float> rows(static_cast<size_t>(count * width));
    candidate_norms_.resize(candidates.size());
    for (int64_t t = 0; t < count; ++t) {
      const float* from = points_.row(candidates[static_cast<size_t>(t)]);
      for (int64_t d = 0; d < width; ++d) {
        rows[static_cast<size_t>(t * width + d)] = from[d] - origin_[static_cast<size_t>(d)];
      }
      candidate_norms_[static_cast<size_t>(t)] =
          point_kernels().squared_distance(from, origin_.data(), width);
    }
    packed_.reset(1, width, round_up(count, kernels().lanes));
    packed_.set_all(rows.data(), count);
  }

  /// A point whose squared distance to its centre is at most a quarter of that between the centre
  /// and a candidate is no nearer to the candidate. limits_: the least such quarter of each centre.
  void limit(const std::vector<int64_t>& candidates) {
    limits_.assign(std::max<size_t>(chosen_.size(), 1), chosen_.empty() ? 0.0F : HUGE_VALF);
    for (size_t centre = 0; centre < chosen_.size(); ++centre) {
      for (const int64_t candidate : candidates) {
        // A little less, for rounding.
        const float quarter =
            0.24999F * point_kernels().squared_distance(
                           points_.row(candidate), points_.row(chosen_[centre]), points_.width);
        limits_[centre] = std::min(limits_[centre], quarter);
      }
    }
  }

  /// Finds the points of block b that are nearer to a candidate than to a centre.
  void compare(int64_t b, const std::vector<int64_t>& candidates, int thread) {
    const size_t count = candidates.size();
    SeedBlock& block = blocks_[static_cast<size_t>(b)];
    SeedScratch& s = scratch_[static_cast<size_t>(thread)];
    block.nearer.resize(std::max(count, block.nearer.size()));
    for (auto& nearer : block.nearer) nearer.clear();
    block.gains.assign(count, 0.0);
    s.indices.clear();
    for (int64_t i = b * at_once_; i < std::min((b + 1) * at_once_, points_.count); ++i) {
      const auto at = static_cast<size_t>(i);
      if (closest_[at] > limits_[static_cast<size_t>(owner_[at])]) s.indices.push_back(i);
    }
    if (s.indices.empty()) return;
    multiply(s);
    const auto width = static_cast<size_t>(packed_.channels());
    for (size_t j = 0; j < s.indices.size(); ++j) {
      const float* products = s.products.data() + j * width;
      const auto at = static_cast<size_t>(s.indices[j]);
      const float old = closest_[at];
      // Most points are nearer to none of them.
      float least = std::numeric_limits<float>::infinity();
      for (size_t t = 0; t < count; ++t) {
        least = std::min(least, candidate_norms_[t] - 2 * products[t]);
      }
      if (points_.norms[at] + least >= old) continue;
      for (size_t t = 0; t < count; ++t) {
        const float norms = points_.norms[at] + candidate_norms_[t];
        float squared = norms - 2 * products[t];
        if (squared >= old) continue;
        if (squared < kNearInSeeding * norms) {
          squared = point_kernels().squared_distance(points_.row(s.indices[j]),
                                                     points_.row(candidates[t]), points_.width);
          if (squared >= old) continue;
        }
        block.nearer[t].push_back({static_cast<int32_t>(s.indices[j] - b * at_once_), squared});
        // Nothing is less than what was infinite: there is one candidate then.
        if (std::isfinite(old)) block.gains[t] += static_cast<double>(old) - squared;
      }
    }
  }

  /// Products of the points of s.indices with the candidates.
  void multiply(SeedScratch& s) {
    const size_t count = s.indices.size();
    const auto width = static_cast<size_t>(points_.width);
    const auto channels = static_cast<size_t>(packed_.channels());
    s.rows.resize(count);
    s.out.resize(count);
    s.products.resize(count * channels);
    if (!points_.shift.empty()) s.shifted.resize(count * width);
    for (size_t j = 0; j < count; ++j) {
      const float* row = points_.row(s.indices[j]);
      s.out[j] = s.products.data() + j * channels;
      s.rows[j] = row;
      if (points_.shift.empty()) continue;
      float* to = s.shifted.data() + j * width;
      for (size_t d = 0; d < width; ++d) to[d] = row[d] - origin_[d];
      s.rows[j] = to;
    }
    kernels().fp32.products.convolve(s.rows.data(), s.out.data(), static_cast<int64_t>(count), 1,
                                     points_.width, 0, packed_.data(), packed_.channels());
  }

  const PointSet& points_;
  uint64_t seed_;
  int64_t at_once_;
  std::vector<SeedBlock> blocks_;
  std::vector<float> closest_;  ///< squared distance to the nearest centre
  std::vector<int32_t> owner_;  ///< which of chosen_ that is
  std::vector<int64_t> chosen_;
  std::vector<SeedScratch> scratch_;
  std::vector<float> origin_;  ///< what is subtracted before products
  PackedWeight<float> packed_;
  std::vector<float> candidate_norms_;
  std::vector<float> limits_;
};

}  // namespace

std::optional<std::vector<int64_t>> seed_centres(const PointSet& points, int64_t k, uint64_t seed,
                                                 const std::function<bool()>& goes_on) {
  return choose_centres(Seeding(points, seed), k, goes_on);
}

double seeding_share(uint64_t seed, uint64_t step, uint64_t trial) {
  return static_cast<double>(random_bits(seed, RandomPurpose::kSample, step, trial) >> 11) *
         0x1p-53;
}

int64_t seeding_candidates(int64_t k) {
  return 2 + static_cast<int64_t>(std::log(static_cast<double>(k)));
}

}  // namespace flexae
