#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "analysis/centre_groups.h"
#include "analysis/centre_sums.h"
#include "analysis/point_set.h"

namespace flexae {

/// Lloyd's algorithm with bounds. Of each point it is known how far its centre is at most, and how
/// far all others are at least (Hamerly, 2010), by groups of near centres if there are many (Ding
/// et al., 2015, Yinyang). What centres move is added to one and taken from the other; while the
/// first is less, the point keeps its centre and is not looked at. Results are those without
/// bounds, but for distances that differ by rounding.
class Lloyd {
 public:
  /// When it ends, and what centres are.
  struct Settings {
    int64_t max_iterations;
    double tolerance;  ///< the sum of squared moves at which it ends
    bool unit;         ///< whether centres are unit vectors
  };
  /// What it ends with.
  struct Outcome {
    std::vector<float> centres;  ///< k×D
    int64_t iterations;
    bool converged;
  };

  explicit Lloyd(const PointSet& points) : points_(points) {}

  /// From `centres`, k×D. `goes_on` is asked after each iteration, with its number and the sum of
  /// squared moves. \return nothing if it returned false.
  std::optional<Outcome> run(std::vector<float> centres, const Settings& settings,
                             const std::function<bool(int64_t iteration, double shift)>& goes_on);

 private:
  struct Scratch;

  void reset(const std::vector<float>& centres);
  /// Half of what each centre has to its nearest neighbour: a point nearer to it has no nearer one.
  void measure_gaps(const std::vector<float>& centres);
  /// The nearest centre of all points.
  std::vector<CentreChange> search(const std::vector<float>& centres, bool first_time);
  void search_block(int64_t begin, int64_t end, const std::vector<float>& centres, bool first_time,
                    Scratch& s, std::vector<CentreChange>& changes);
  /// Finds the points whose bounds no longer tell that they keep their centre.
  void doubt(int64_t begin, int64_t end, const std::vector<float>& centres, Scratch& s);
  /// Looks in those groups that may hold a nearer centre.
  void search_groups(const std::vector<float>& centres, bool first_time, Scratch& s);
  [[nodiscard]] float distance_to(int64_t point, int32_t centre,
                                  const std::vector<float>& centres) const;
  /// Gives centres without points the points that are farthest from theirs.
  void fill_empty(const std::vector<float>& centres);
  /// Notes how far centres move. \return the sum of squares
  double note_moves(const std::vector<float>& from, const std::vector<float>& to);

  /// A lower bound as it is kept: what the group has moved since then is taken from it.
  float& kept(int64_t point, size_t group) {
    return group_lower_.get()[static_cast<size_t>(point) * groups_->size() + group];
  }

  const PointSet& points_;
  int64_t k_ = 0;
  std::optional<CentreGroups> groups_;
  std::optional<CentreSums> sums_;
  std::vector<int32_t> group_of_;  ///< of a centre
  std::vector<int32_t> labels_;
  std::vector<float> upper_;  ///< the distance to the point's centre is at most that
  std::vector<float> lower_;  ///< to any other at least that
  /// The same by groups, if there are several: N×groups, never zeroed.
  std::unique_ptr<float[]> group_lower_;
  std::vector<double> group_way_;  ///< what the farthest centre of the group has moved, all in all
  /// What happened to a centre in the last iteration, as its points need it.
  struct Moved {
    float own = 0;     ///< how far it moved
    float others = 0;  ///< how far that other centre did that moved most
    float gap = 0;     ///< half of the distance to its nearest neighbour
  };
  std::vector<Moved> moved_;
};

}  // namespace flexae
