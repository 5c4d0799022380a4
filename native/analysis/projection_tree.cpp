#include "analysis/projection_tree.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "analysis/quads.h"
#include "core/base/random.h"

namespace flexae {
namespace {

/// Planes that leave too few points on one side, after which the last is moved to where it halves
/// them.
constexpr uint64_t kMostTries = 3;

class TreeMaker {
 public:
  TreeMaker(const float* rows, int64_t count, int64_t stride, int64_t least, uint64_t seed,
            uint64_t number)
      : rows_(rows), stride_(stride), least_(least), seed_(seed), number_(number) {
    tree_.points.resize(static_cast<size_t>(count));
    std::iota(tree_.points.begin(), tree_.points.end(), 0);
    plane_.resize(static_cast<size_t>(stride));
  }

  ProjectionTree make() {
    // Not by recursion: a tree may be deep where points lie in very different densities.
    std::vector<std::pair<int64_t, int64_t>> waiting{
        {0, static_cast<int64_t>(tree_.points.size())}};
    tree_.begins.push_back(0);
    while (!waiting.empty()) {
      const auto [begin, end] = waiting.back();
      waiting.pop_back();
      if (end - begin < 2 * least_) {
        tree_.begins.push_back(end);
        continue;
      }
      const int64_t middle = part(begin, end);
      waiting.emplace_back(middle, end);
      waiting.emplace_back(begin, middle);
    }
    return std::move(tree_);
  }

 private:
  [[nodiscard]] const float* row(int32_t point) const { return rows_ + point * stride_; }

  /// Parts a stretch in two. \return where the second begins.
  int64_t part(int64_t begin, int64_t end) {
    const auto first = tree_.points.begin() + begin;
    const auto last = tree_.points.begin() + end;
    for (uint64_t i = 0; i < kMostTries; ++i) {
      const uint64_t bits = random_bits(seed_, RandomPurpose::kInitializer, number_, drawn_++);
      const auto size = static_cast<uint64_t>(end - begin);
      const float* a = row(first[static_cast<int64_t>((bits & 0xffffffff) * size >> 32)]);
      const float* b = row(first[static_cast<int64_t>((bits >> 32) * size >> 32)]);
      float offset = 0;
      for (int64_t d = 0; d < stride_; ++d) {
        plane_[static_cast<size_t>(d)] = a[d] - b[d];
        offset += (a[d] - b[d]) * (a[d] + b[d]) / 2;
      }
      const auto middle = std::stable_partition(
          first, last, [&](int32_t point) { return side(row(point)) < offset; });
      if (middle - first >= least_ && last - middle >= least_) {
        return middle - tree_.points.begin();
      }
    }
    const auto half = first + (end - begin) / 2;
    std::nth_element(first, half, last, [&](int32_t a, int32_t b) {
      return std::pair(side(row(a)), a) < std::pair(side(row(b)), b);
    });
    // What comes before the middle may lie in any order, by the library's choice.
    std::sort(first, half);
    std::sort(half, last);
    return half - tree_.points.begin();
  }

  [[nodiscard]] float side(const float* point) const {
    Quad sum{};
    for (int64_t d = 0; d < stride_; d += 4) {
      sum += *reinterpret_cast<const Quad*>(plane_.data() + d) *
             *reinterpret_cast<const Quad*>(point + d);
    }
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
  }

  const float* rows_;
  int64_t stride_;
  int64_t least_;
  uint64_t seed_;
  uint64_t number_;
  uint64_t drawn_ = 0;
  std::vector<float> plane_;
  ProjectionTree tree_;
};

}  // namespace

ProjectionTree projection_tree(const float* rows, int64_t count, int64_t stride, int64_t least,
                               uint64_t seed, uint64_t tree) {
  return TreeMaker(rows, count, stride, least, seed, tree).make();
}

}  // namespace flexae
