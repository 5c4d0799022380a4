#include "analysis/centre_groups.h"

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

/// Points whose products with a group are made before they are looked at: they stay in the
/// first-level cache. Whole tiles.
constexpr int64_t kSearchRows = 48;

/// Splits `members` where the centres are widest apart, until no part has more than `size`.
void split_near(const float* centres, int64_t width, int64_t size, std::vector<int32_t> members,
                std::vector<std::vector<int32_t>>& groups) {
  const auto count = static_cast<int64_t>(members.size());
  if (count <= size) {
    std::sort(members.begin(), members.end());
    groups.push_back(std::move(members));
    return;
  }
  const auto row = [&](int32_t c) { return centres + c * width; };
  const auto farthest = [&](int32_t from) {
    return *std::max_element(members.begin(), members.end(), [&](int32_t a, int32_t b) {
      return point_kernels().squared_distance(row(a), row(from), width) <
             point_kernels().squared_distance(row(b), row(from), width);
    });
  };
  const int32_t a = farthest(members.front());
  const int32_t b = farthest(a);
  std::vector<std::pair<double, int32_t>> places;
  for (const int32_t c : members) {
    double place = 0;
    for (int64_t d = 0; d < width; ++d) {
      place += static_cast<double>(row(c)[d]) * (static_cast<double>(row(b)[d]) - row(a)[d]);
    }
    places.emplace_back(place, c);
  }
  std::sort(places.begin(), places.end());
  // So that only the last group of all is not full.
  const int64_t half = std::max<int64_t>(count / size / 2, 1) * size;
  std::vector<int32_t> parts[2];
  for (int64_t i = 0; i < count; ++i) {
    parts[i < half ? 0 : 1].push_back(places[static_cast<size_t>(i)].second);
  }
  for (auto& part : parts) split_near(centres, width, size, std::move(part), groups);
}

}  // namespace

void CentreGroups::Block::take(const std::vector<const float*>& points, std::vector<float> norms,
                               int64_t width, const std::vector<float>& shift) {
  norms_ = std::move(norms);
  if (shift.empty()) {
    rows_ = points;
    return;
  }
  rows_.resize(points.size());
  shifted_.resize(points.size() * static_cast<size_t>(width));
  for (size_t j = 0; j < points.size(); ++j) {
    float* to = shifted_.data() + j * static_cast<size_t>(width);
    for (int64_t d = 0; d < width; ++d) to[d] = points[j][d] - shift[static_cast<size_t>(d)];
    rows_[j] = to;
  }
}

void CentreGroups::Block::take(const std::vector<const float*>& points, int64_t width,
                               const std::vector<float>& shift) {
  std::vector<float> origin = shift;
  origin.resize(static_cast<size_t>(width));
  std::vector<float> norms;
  for (const float* point : points) {
    norms.push_back(point_kernels().squared_distance(point, origin.data(), width));
  }
  take(points, std::move(norms), width, shift);
}

CentreGroups::CentreGroups(std::vector<std::vector<int32_t>> groups, int64_t width,
                           std::vector<float> shift)
    : width_(width),
      shift_(std::move(shift)),
      // Sums of `width` products have errors of that many roundings at most, and of their root's
      // number as a rule.
      error_(std::numeric_limits<float>::epsilon() *
             (8.0F + std::sqrt(static_cast<float>(width)))) {
  for (auto& members : groups) {
    Group& group = groups_.emplace_back();
    group.members = std::move(members);
    const int64_t padded = round_up(static_cast<int64_t>(group.members.size()), kernels().lanes);
    group.packed.reset(1, width, padded);
    group.half_norms.assign(static_cast<size_t>(padded), std::numeric_limits<float>::infinity());
  }
}

void CentreGroups::set(const float* centres) {
  std::vector<float> norms(groups_.size());
  for (size_t g = 0; g < groups_.size(); ++g) {
    Group& group = groups_[g];
    const auto count = static_cast<int64_t>(group.members.size());
    std::vector<float> rows(static_cast<size_t>(count * width_));
    float greatest = 0;
    for (int64_t c = 0; c < count; ++c) {
      const float* from = centres + group.members[static_cast<size_t>(c)] * width_;
      float* to = rows.data() + c * width_;
      double norm = 0;
      for (int64_t d = 0; d < width_; ++d) {
        to[d] = shift_.empty() ? from[d] : from[d] - shift_[static_cast<size_t>(d)];
        norm += static_cast<double>(to[d]) * to[d];
      }
      group.half_norms[static_cast<size_t>(c)] = static_cast<float>(norm / 2);
      greatest = std::max(greatest, static_cast<float>(norm));
    }
    group.packed.set_all(rows.data(), count);
    norms[g] = greatest;
  }
  greatest_norm_ = *std::max_element(norms.begin(), norms.end());
}

void CentreGroups::search(size_t group, Block& block, const std::vector<int32_t>& which,
                          NearestCentre* found) const {
  const Group& g = groups_[group];
  const int64_t width = g.packed.channels();
  const auto count = static_cast<int64_t>(which.size());
  block.products_.resize(static_cast<size_t>(kSearchRows * width));
  block.some_.resize(kSearchRows);
  block.out_.resize(kSearchRows);
  block.best_.resize(kSearchRows);
  block.second_.resize(kSearchRows);
  block.place_.resize(kSearchRows);
  for (size_t j = 0; j < kSearchRows; ++j) {
    block.out_[j] = block.products_.data() + j * static_cast<size_t>(width);
  }
  for (int64_t first = 0; first < count; first += kSearchRows) {
    const int64_t rows = std::min(kSearchRows, count - first);
    const int32_t* at = which.data() + first;
    for (int64_t j = 0; j < rows; ++j) {
      block.some_[static_cast<size_t>(j)] = block.rows_[static_cast<size_t>(at[j])];
    }
    kernels().fp32.products.convolve(block.some_.data(), block.out_.data(), rows, 1, width_, 0,
                                     g.packed.data(), width);
    point_kernels().best_two(block.products_.data(), rows, width, g.half_norms.data(),
                             block.best_.data(), block.place_.data(), block.second_.data());
    for (int64_t j = 0; j < rows; ++j) {
      const auto row = static_cast<size_t>(j);
      const float norm = block.norms_[static_cast<size_t>(at[j])];
      found[first + j] = {norm - 2 * block.best_[row], norm - 2 * block.second_[row],
                          g.members[static_cast<size_t>(block.place_[row])]};
    }
  }
}

std::vector<std::vector<int32_t>> groups_in_order(int64_t count, int64_t size) {
  std::vector<std::vector<int32_t>> groups;
  for (int64_t first = 0; first < count; first += size) {
    auto& group = groups.emplace_back(static_cast<size_t>(std::min(size, count - first)));
    std::iota(group.begin(), group.end(), static_cast<int32_t>(first));
  }
  return groups;
}

std::vector<std::vector<int32_t>> groups_of_near(const float* centres, int64_t count, int64_t width,
                                                 int64_t size) {
  std::vector<std::vector<int32_t>> groups;
  split_near(centres, width, size, groups_in_order(count, count).front(), groups);
  return groups;
}

}  // namespace flexae
