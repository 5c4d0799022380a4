#include "analysis/distance_factors.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace flexae {
namespace {

/// The mean of each column. Distances do not change when it is subtracted, but squares that cancel
/// each other get smaller.
std::vector<double> column_means(const MeasuredPoints& points) {
  std::vector<double> means(static_cast<size_t>(points.width()));
  for (int64_t i = 0; i < points.count(); ++i) {
    const float* row = points.row(i);
    for (size_t d = 0; d < means.size(); ++d) means[d] += static_cast<double>(row[d]);
  }
  for (double& mean : means) mean /= static_cast<double>(points.count());
  return means;
}

/// The greatest distance from `centre`.
double greatest_length(const MeasuredPoints& points, const std::vector<double>& centre) {
  double greatest = 0;
  for (int64_t i = 0; i < points.count(); ++i) {
    const float* row = points.row(i);
    double square = 0;
    for (size_t d = 0; d < centre.size(); ++d) {
      const double difference = static_cast<double>(row[d]) - centre[d];
      square += difference * difference;
    }
    greatest = std::max(greatest, square);
  }
  return std::sqrt(greatest);
}

/// (factor·x, |x|², 1), or (factor·x, 1, |x|²) if `square_last`, of centred and scaled points.
/// \param lengths  becomes |x|, if given.
at::Tensor euclidean_rows(const MeasuredPoints& points, const std::vector<double>& centre,
                          double scale, float factor, bool square_last,
                          std::vector<float>* lengths) {
  const int64_t width = points.width();
  at::Tensor rows = at::empty({points.count(), width + 2}, at::kFloat);
  auto* values = rows.mutable_data_ptr<float>();
  if (lengths != nullptr) lengths->resize(static_cast<size_t>(points.count()));
  for (int64_t i = 0; i < points.count(); ++i) {
    const float* from = points.row(i);
    float* to = values + i * (width + 2);
    double square = 0;
    for (int64_t d = 0; d < width; ++d) {
      const auto x = static_cast<float>(
          (static_cast<double>(from[d]) - centre[static_cast<size_t>(d)]) * scale);
      square += static_cast<double>(x) * static_cast<double>(x);
      to[d] = factor * x;
    }
    to[width] = square_last ? 1.0F : static_cast<float>(square);
    to[width + 1] = square_last ? static_cast<float>(square) : 1.0F;
    if (lengths != nullptr) {
      (*lengths)[static_cast<size_t>(i)] = static_cast<float>(std::sqrt(square));
    }
  }
  return rows;
}

/// (sign·x / |x|, 1).
at::Tensor cosine_rows(const MeasuredPoints& points, double sign) {
  const int64_t width = points.width();
  at::Tensor rows = at::empty({points.count(), width + 1}, at::kFloat);
  auto* values = rows.mutable_data_ptr<float>();
  for (int64_t i = 0; i < points.count(); ++i) {
    const float* from = points.row(i);
    float* to = values + i * (width + 1);
    const double factor = sign * points.inverse_length(i);
    for (int64_t d = 0; d < width; ++d) {
      to[d] = static_cast<float>(factor * static_cast<double>(from[d]));
    }
    to[width] = 1;
  }
  return rows;
}

}  // namespace

DistanceFactors::DistanceFactors(const MeasuredPoints& queries, const MeasuredPoints& points) {
  // A sum of n products is within n units of rounding, whatever its order; eight more for the
  // factors themselves.
  rounding_ = static_cast<double>(points.width() + 2 + 8) * 0x1p-24;
  if (points.metric() == NeighbourMetric::kEuclidean) {
    make_euclidean(queries, points);
  } else {
    make_cosine(queries, points);
  }
}

void DistanceFactors::make_euclidean(const MeasuredPoints& queries, const MeasuredPoints& points) {
  const std::vector<double> centre = column_means(points);
  double greatest = greatest_length(points, centre);
  if (&queries != &points) greatest = std::max(greatest, greatest_length(queries, centre));
  const double length_scale = greatest > 0 ? std::exp2(-std::ceil(std::log2(greatest))) : 1;
  scale_ = length_scale * length_scale;
  queries_ = euclidean_rows(queries, centre, length_scale, -2, /*square_last=*/false, &lengths_);
  points_ = euclidean_rows(points, centre, length_scale, 1, /*square_last=*/true, nullptr);
}

void DistanceFactors::make_cosine(const MeasuredPoints& queries, const MeasuredPoints& points) {
  queries_ = cosine_rows(queries, -1);
  points_ = cosine_rows(points, 1);
}

double DistanceFactors::error(int64_t query, double order) const {
  if (lengths_.empty()) return 2 * rounding_;
  // No point within √order is farther from the centre than this query and √order together.
  const double both =
      2 * static_cast<double>(lengths_[static_cast<size_t>(query)]) + std::sqrt(order);
  return rounding_ * both * both + 1e-30;
}

}  // namespace flexae
