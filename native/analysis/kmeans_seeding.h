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

/// 2 + ⌊ln k⌋: points of which greedy k-means++ takes the best.
int64_t seeding_candidates(int64_t k);

}  // namespace flexae
