#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "analysis/centre_sums.h"
#include "analysis/point_set.h"

namespace flexae {

/// Centres that are means of all points they ever got, batch by batch (Sculley, 2010: a point's
/// weight in its centre is one by the number of points that this got so far). A batch may come in
/// pieces. Where it is all the points, and centres begin with no points, a move is one of Lloyd's
/// iterations.
class RunningCentres {
 public:
  /// What a piece of a batch found.
  struct Nearest {
    at::Tensor labels;             ///< N of int32: the nearest centre, the first of several
    at::Tensor squared_distances;  ///< N of fp32
    double inertia;                ///< their sum, in the order of the points
  };

  /// `centres`, k×D, and how many points each is taken to have got already: k, or none for all 0.
  /// With `unit` they are unit vectors, and stay such. `device` as find_nearest() has it.
  RunningCentres(std::vector<float> centres, int64_t width, bool unit,
                 std::vector<double> counts = {}, std::optional<at::Device> device = {});

  /// Finds the points' centres, and notes the points for the next move.
  Nearest add(const PointSet& points);

  /// Moves centres to where the points of the batch are; one that got none stays.
  void move();

  /// Puts centres that got less than a hundredth of what the largest got on points of a batch, as
  /// scikit-learn does, in an order that follows from `seed` and `iteration`.
  void reassign(const PointSet& batch, uint64_t seed, uint64_t iteration);

  [[nodiscard]] int64_t width() const { return width_; }
  [[nodiscard]] bool unit() const { return unit_; }
  [[nodiscard]] const std::vector<float>& centres() const { return centres_; }
  /// Points that each centre got so far, those of a batch that has not moved it left out.
  [[nodiscard]] const std::vector<double>& counts() const { return counts_; }

 private:
  std::vector<float> centres_;
  std::vector<double> counts_;
  int64_t width_;
  bool unit_;
  std::optional<at::Device> device_;
  CentreSums sums_;  ///< of the batch's points
};

}  // namespace flexae
