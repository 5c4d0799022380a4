#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "analysis/point_set.h"

namespace flexae {

/// Greedy k-means++ (Arthur and Vassilvitskii, 2007): each centre is a point drawn with a
/// probability that is proportional to its squared distance to the nearest centre so far. Of
/// 2 + ⌊ln k⌋ such points the one is taken that leaves the least sum of those distances, as in
/// scikit-learn. Points too near to the centre that they have are not compared with another, by the
/// triangle inequality. `goes_on` is asked after each centre.
/// \return the numbers of k points, or nothing if it returned false.
std::optional<std::vector<int64_t>> seed_centres(const PointSet& points, int64_t k, uint64_t seed,
                                                 const std::function<bool()>& goes_on);

/// Nearer than this share of both squared lengths, a squared distance is computed from differences:
/// rounding would give a point some chance to be drawn twice.
constexpr float kNearInSeeding = 1e-3F;

/// In [0, 1), for the `trial`th candidate of a step.
double seeding_share(uint64_t seed, uint64_t step, uint64_t trial);

/// 2 + ⌊ln k⌋: points of which greedy k-means++ takes the best.
int64_t seeding_candidates(int64_t k);

/// Draws k points with what begins by one, and adds the best of some candidates.
template <typename Seeding>
std::optional<std::vector<int64_t>> choose_centres(Seeding seeding, int64_t k,
                                                   const std::function<bool()>& goes_on) {
  seeding.begin();
  const int64_t candidates = seeding_candidates(k);
  for (int64_t c = 1; c < k; ++c) {
    if (!goes_on()) return std::nullopt;
    seeding.add(candidates);
  }
  return seeding.chosen();
}

}  // namespace flexae
