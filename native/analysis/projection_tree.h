#pragma once

#include <cstdint>
#include <vector>

namespace flexae {

/// Points in leaves of points that lie on the same side of each of some planes.
struct ProjectionTree {
  std::vector<int32_t> points;  ///< Each once, leaf by leaf.
  std::vector<int64_t> begins;  ///< Where each leaf begins; one more for the end of the last.
};

/// Parts points by planes halfway between two of them that are drawn at random, as long as both
/// sides keep `least` points. There are `count` rows of `stride` numbers, a multiple of four.
ProjectionTree projection_tree(const float* rows, int64_t count, int64_t stride, int64_t least,
                               uint64_t seed, uint64_t tree);

}  // namespace flexae
