#pragma once

#include <cstdint>
#include <vector>

#include "analysis/point_set.h"

namespace flexae {

/// A point that changes its centre; `from` is −1 where it had none.
struct CentreChange {
  int64_t point;
  int32_t from;
  int32_t to;
};

/// Sums of the points of each centre in fp64, kept up to date by what changes. They are added up in
/// the order of the points, whatever the number of threads.
class CentreSums {
 public:
  CentreSums(int64_t centres, int64_t width);
  /// Sums that were added up elsewhere: `sums` k×D, in rows.
  CentreSums(std::vector<int64_t> counts, std::vector<double> sums);

  /// `changes` in ascending order of points.
  void apply(const PointSet& points, const std::vector<CentreChange>& changes);

  [[nodiscard]] int64_t count(size_t centre) const { return counts_[centre]; }
  [[nodiscard]] const double* sum(size_t centre) const {
    return sums_.data() + centre * static_cast<size_t>(width_);
  }

  /// The centres that have no points, ascending.
  [[nodiscard]] std::vector<int32_t> without_points() const;

  /// The means of the centres' points, k×D, of unit length if `unit`. A centre without points goes
  /// where the one with most is; one whose points cancel out stays where it was in `old`.
  [[nodiscard]] std::vector<float> means(const std::vector<float>& old, bool unit) const;

 private:
  void add(const PointSet& points, const CentreChange* changes, int64_t count, double* sums) const;

  int64_t width_;
  std::vector<int64_t> counts_;
  std::vector<double> sums_;
};

/// The sum of the squares of all differences.
double squared_moves(const std::vector<float>& from, const std::vector<float>& to);

}  // namespace flexae
