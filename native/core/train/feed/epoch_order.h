#pragma once

#include <cstdint>
#include <vector>

namespace flexae {

/// Images that follow each other in a training set, and how often they are drawn beside the others.
struct SetPart {
  int64_t images = 0;
  /// Above 0; what counts is its share in the sum of all.
  double weight = 1;
};

/// The images of an epoch (from 1) in the order in which they are used: a pure function of the seed
/// and the epoch, so that nothing is kept to go on with it.
///
/// Without parts, each of `images` images once, shuffled. With parts, as many images in all, each
/// part's share by its weight. A part is drawn without repetition until all of it was used, and its
/// next epoch goes on where the last one stopped.
[[nodiscard]] std::vector<int64_t> epoch_order(int64_t images, const std::vector<SetPart>& parts,
                                               uint64_t seed, int64_t epoch);

}  // namespace flexae
