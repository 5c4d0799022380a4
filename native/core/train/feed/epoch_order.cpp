#include "core/train/feed/epoch_order.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

#include "core/base/random.h"

namespace flexae {
namespace {

/// How many of `images` each part gives: by largest remainder, so that they are all.
std::vector<int64_t> quotas(int64_t images, const std::vector<SetPart>& parts) {
  // By the largest, so that no sum overflows.
  double largest = 0;
  for (const SetPart& part : parts) largest = std::max(largest, part.weight);
  double sum = 0;
  for (const SetPart& part : parts) sum += part.weight / largest;
  std::vector<int64_t> counts;
  std::vector<double> remainders;
  for (const SetPart& part : parts) {
    const double exact = static_cast<double>(images) * (part.weight / largest) / sum;
    counts.push_back(static_cast<int64_t>(std::floor(exact)));
    remainders.push_back(exact - std::floor(exact));
  }
  std::vector<size_t> by_remainder(parts.size());
  std::iota(by_remainder.begin(), by_remainder.end(), size_t{0});
  std::stable_sort(by_remainder.begin(), by_remainder.end(),
                   [&](size_t a, size_t b) { return remainders[a] > remainders[b]; });
  int64_t left = images - std::accumulate(counts.begin(), counts.end(), int64_t{0});
  for (size_t i = 0; left > 0; i = (i + 1) % by_remainder.size(), --left) {
    ++counts[by_remainder[i]];
  }
  return counts;
}

}  // namespace

std::vector<int64_t> epoch_order(int64_t images, const std::vector<SetPart>& parts, uint64_t seed,
                                 int64_t epoch) {
  const std::vector<int64_t> places =
      random_permutation(images, seed, RandomPurpose::kShuffle, static_cast<uint64_t>(epoch));
  if (parts.empty()) return places;
  const std::vector<int64_t> counts = quotas(images, parts);
  std::vector<int64_t> order(static_cast<size_t>(images));
  size_t drawn = 0;
  int64_t first = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    const int64_t size = parts[i].images;
    // Places in the part's passes, one behind the other.
    int64_t at = (epoch - 1) * counts[i];
    const int64_t end = epoch * counts[i];
    while (at < end) {
      const int64_t pass = at / size;
      const std::vector<int64_t> permutation = random_permutation(
          size, seed, RandomPurpose::kMix, static_cast<uint64_t>(pass) * parts.size() + i);
      const int64_t stop = std::min(end, (pass + 1) * size);
      for (; at < stop; ++at) {
        const auto place = static_cast<size_t>(places[drawn++]);
        order[place] = first + permutation[static_cast<size_t>(at % size)];
      }
    }
    first += size;
  }
  return order;
}

}  // namespace flexae
