#pragma once

#include <cstdint>
#include <vector>

#include "analysis/point_set.h"
#include "core/cpu/packed_weight.h"

namespace flexae {

/// What a search found among the centres of one group. Distances are squared; rounding may have
/// made one that is nearly zero negative.
struct NearestCentre {
  float distance = 0;
  float second = 0;  ///< to the next one of the group; infinite if there is none
  int32_t centre = -1;
};

/// Centres in groups, packed for products with points.
class CentreGroups {
 public:
  /// A block of points that are searched for, and what a thread needs for it. Kept from block to
  /// block.
  class Block {
   public:
    /// The points at `points`, which must stay where they are. `norms`: |x − shift|² of each.
    void take(const std::vector<const float*>& points, std::vector<float> norms, int64_t width,
              const std::vector<float>& shift);
    /// The same, of which nobody knows the norms.
    void take(const std::vector<const float*>& points, int64_t width,
              const std::vector<float>& shift);
    [[nodiscard]] int64_t size() const { return static_cast<int64_t>(rows_.size()); }
    /// |x − shift|² of point j.
    [[nodiscard]] float norm(size_t j) const { return norms_[j]; }

   private:
    friend class CentreGroups;
    std::vector<const float*> rows_;
    std::vector<float> norms_;
    std::vector<float> shifted_;
    std::vector<const float*> some_;
    std::vector<float*> out_;
    std::vector<float> products_;
    std::vector<float> best_;
    std::vector<float> second_;
    std::vector<int32_t> place_;
  };

  /// `groups` holds numbers of centres, ascending within a group. `shift` as PointSet has it.
  CentreGroups(std::vector<std::vector<int32_t>> groups, int64_t width, std::vector<float> shift);

  /// Takes the centres' values: as many rows of `width` as there are numbers in all groups.
  void set(const float* centres);

  [[nodiscard]] size_t size() const { return groups_.size(); }
  [[nodiscard]] const std::vector<int32_t>& members(size_t group) const {
    return groups_[group].members;
  }
  [[nodiscard]] int64_t width() const { return width_; }
  [[nodiscard]] const std::vector<float>& shift() const { return shift_; }

  /// The nearest centre of a group for the points `which` of the block, into found[0], found[1], …
  void search(size_t group, Block& block, const std::vector<int32_t>& which,
              NearestCentre* found) const;

  /// How far a squared distance that search() found may be from the true one.
  [[nodiscard]] float error(float norm) const { return error_ * (norm + greatest_norm_); }

 private:
  struct Group {
    std::vector<int32_t> members;
    PackedWeight<float> packed;
    std::vector<float> half_norms;  ///< infinite where there is no centre
  };

  std::vector<Group> groups_;
  int64_t width_;
  std::vector<float> shift_;
  float error_;
  float greatest_norm_ = 0;
};

/// Groups of `size` numbers below `count`, in order.
std::vector<std::vector<int32_t>> groups_in_order(int64_t count, int64_t size);
/// Groups of at most `size` of the `count` centres, near ones together.
std::vector<std::vector<int32_t>> groups_of_near(const float* centres, int64_t count, int64_t width,
                                                 int64_t size);

}  // namespace flexae
