#include "analysis/point_set.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "analysis/kernels/point_kernels.h"
#include "analysis/point_checks.h"
#include "core/base/error.h"
#include "core/base/math.h"
#include "core/base/parallel.h"

namespace flexae {
namespace {

/// Rows whose sums are added up by one thread.
constexpr int64_t kMomentRows = 4096;

constexpr const char* kEmbeddings = "the embeddings";

/// The greatest squared length with which sums of two stay far from fp32's end.
constexpr double kGreatestSquare = 1e36;

/// Sums of the columns, and of their squares.
struct Moments {
  std::vector<double> sum;
  std::vector<double> squares;
};

[[noreturn]] void refuse(const float* row, int64_t width, int64_t index) {
  if (!std::all_of(row, row + width, [](float v) { return std::isfinite(v); })) {
    refuse_row(row, width, index, kEmbeddings);
  }
  throw Error(ErrorCode::kData, std::string(kEmbeddings) + " are too long in row " +
                                    std::to_string(index) +
                                    ", beyond 1e18: scale the embeddings down");
}

/// Of rows [first, last). Throws where a row cannot be used.
Moments moments_of(const PointSet& points, int64_t first, int64_t last) {
  const auto width = static_cast<size_t>(points.width);
  Moments m{std::vector<double>(width), std::vector<double>(width)};
  for (int64_t i = first; i < last; ++i) {
    const float* row = points.row(i);
    double square = 0;
    for (size_t d = 0; d < width; ++d) {
      const double value = row[d];
      m.sum[d] += value;
      m.squares[d] += value * value;
      square += value * value;
    }
    // Not so either if it is NaN.
    if (!(square < kGreatestSquare)) refuse(row, points.width, i);
  }
  return m;
}

std::vector<Moments> all_moments(const PointSet& points) {
  const int64_t blocks = ceil_div(points.count, kMomentRows);
  std::vector<Moments> parts(static_cast<size_t>(blocks));
  parallel_for(blocks, [&](int64_t block, int) {
    parts[static_cast<size_t>(block)] =
        moments_of(points, block * kMomentRows, std::min((block + 1) * kMomentRows, points.count));
  });
  return parts;
}

/// Squared lengths of what the shift leaves of the points.
std::vector<float> norms_of(const PointSet& points) {
  std::vector<float> origin = points.shift;
  origin.resize(static_cast<size_t>(points.width));
  std::vector<float> norms(static_cast<size_t>(points.count));
  parallel_for(ceil_div(points.count, kMomentRows), [&](int64_t block, int) {
    const int64_t last = std::min((block + 1) * kMomentRows, points.count);
    for (int64_t i = block * kMomentRows; i < last; ++i) {
      norms[static_cast<size_t>(i)] =
          point_kernels().squared_distance(points.row(i), origin.data(), points.width);
    }
  });
  return norms;
}

/// The points' shift, variance and norms.
void measure(const std::vector<Moments>& parts, PointSet& points) {
  const auto n = static_cast<double>(points.count);
  double far = 0;
  double spread = 0;
  std::vector<float> means;
  for (size_t d = 0; d < static_cast<size_t>(points.width); ++d) {
    double sum = 0;
    double squares = 0;
    for (const Moments& part : parts) {
      sum += part.sum[d];
      squares += part.squares[d];
    }
    const double mean = sum / n;
    means.push_back(static_cast<float>(mean));
    far += mean * mean;
    spread += std::max(squares / n - mean * mean, 0.0);
  }
  points.variance = spread / static_cast<double>(points.width);
  if (far > spread) points.shift = std::move(means);
  points.norms = norms_of(points);
}

at::Tensor unit_vectors(const at::Tensor& points) {
  at::Tensor unit = at::empty_like(points);
  const int64_t width = points.size(1);
  const auto* from = points.const_data_ptr<float>();
  auto* to = unit.mutable_data_ptr<float>();
  parallel_for(ceil_div(points.size(0), kMomentRows), [&](int64_t block, int) {
    const int64_t last = std::min((block + 1) * kMomentRows, points.size(0));
    for (int64_t i = block * kMomentRows; i < last; ++i) {
      double square = 0;
      for (int64_t d = 0; d < width; ++d) {
        square += static_cast<double>(from[i * width + d]) * from[i * width + d];
      }
      const double scale = square > 0 ? 1 / std::sqrt(square) : 0;
      for (int64_t d = 0; d < width; ++d) {
        to[i * width + d] = static_cast<float>(from[i * width + d] * scale);
      }
    }
  });
  return unit;
}

}  // namespace

PointSet::PointSet(at::Tensor points)
    : tensor(std::move(points)),
      count(tensor.size(0)),
      width(tensor.size(1)),
      values_(tensor.const_data_ptr<float>()) {}

PointSet read_points(const at::Tensor& embeddings, bool unit) {
  PointSet points(contiguous_rows(embeddings, kEmbeddings));
  std::vector<Moments> parts = all_moments(points);
  if (unit) {
    points = PointSet(unit_vectors(points.tensor));
    parts = all_moments(points);
  }
  measure(parts, points);
  return points;
}

PointSet gather_points(const PointSet& points, const std::vector<int64_t>& indices) {
  PointSet gathered(at::empty({static_cast<int64_t>(indices.size()), points.width}, at::kFloat));
  auto* to = gathered.tensor.mutable_data_ptr<float>();
  for (const int64_t index : indices) {
    to = std::copy_n(points.row(index), points.width, to);
    gathered.norms.push_back(points.norms[static_cast<size_t>(index)]);
  }
  gathered.shift = points.shift;
  gathered.variance = points.variance;
  return gathered;
}

int64_t points_at_once(int64_t width) {
  // Whole tiles of the products (12 points, or 6), in half of a second-level cache at most.
  constexpr int64_t kTiles = 48;
  constexpr int64_t kValues = 1 << 15;
  return std::clamp<int64_t>(kValues / width / kTiles, 1, 10) * kTiles;
}

}  // namespace flexae
