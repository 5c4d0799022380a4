#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "core/train/checkpoint/checkpoint.h"
#include "core/train/trainer_config.h"

namespace flexae {

/// A loss or a gradient that is not a finite number: the sentence that says which, and where.
struct NonFiniteError {
  std::string what;
};

/// What becomes of a training whose numbers are no longer finite: its end, or the way back to the
/// last good point at half the learning rate, and that at most three times.
class Rewinding {
 public:
  explicit Rewinding(OnNan on_nan) : on_nan_(on_nan) {}

  /// Whether good points are wanted.
  [[nodiscard]] bool keeps() const { return on_nan_ == OnNan::kSkip; }
  void keep(std::shared_ptr<const Checkpoint> good) { good_ = std::move(good); }

  /// Where to go on from, for the `rewinds`th time. Throws Error(kNan) if that is not wanted, or
  /// has not helped.
  [[nodiscard]] std::shared_ptr<const Checkpoint> back(const NonFiniteError& found,
                                                       int64_t rewinds) const;

  /// The learning rate after so many times.
  static double learning_rate(double initial, int64_t rewinds);

  /// What whoever trains is told, once the training stands at `state` again.
  static std::string message(const NonFiniteError& found, const TrainingState& state,
                             double learning_rate);

 private:
  OnNan on_nan_;
  std::shared_ptr<const Checkpoint> good_;
};

}  // namespace flexae
