#include "core/train/rewinding.h"

#include <algorithm>
#include <cmath>

#include "core/base/error.h"

namespace flexae {
namespace {

constexpr int64_t kMostRewinds = 3;

}  // namespace

std::shared_ptr<const Checkpoint> Rewinding::back(const NonFiniteError& found,
                                                  int64_t rewinds) const {
  const std::string remedy = ".\nUse a smaller learning_rate, or another optimizer or activation";
  if (!keeps()) {
    throw Error(ErrorCode::kNan,
                found.what + remedy + "; --on-nan skip goes back and halves the learning rate.");
  }
  if (rewinds > kMostRewinds) {
    throw Error(ErrorCode::kNan, found.what + ", even after halving the learning rate " +
                                     std::to_string(kMostRewinds) + " times" + remedy + ".");
  }
  return good_;
}

double Rewinding::learning_rate(double initial, int64_t rewinds) {
  return std::ldexp(initial, static_cast<int>(-std::min(rewinds, kMostRewinds)));
}

std::string Rewinding::message(const NonFiniteError& found, const TrainingState& state,
                               double learning_rate) {
  std::string from = "the beginning";
  if (state.progress.batch > 0) {
    from = "batch " + std::to_string(state.progress.batch) + " of epoch " +
           std::to_string(state.epoch + 1);
  } else if (state.epoch > 0) {
    from = "the end of epoch " + std::to_string(state.epoch);
  }
  return found.what + ": going on from " + from + " with learning_rate " +
         std::to_string(learning_rate);
}

}  // namespace flexae
