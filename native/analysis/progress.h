#pragma once

#include <functional>
#include <stdexcept>

namespace flexae {

/// Told between pieces of work, on the calling thread, which share of it is done, 0…1. \return
/// false to stop.
using Progress = std::function<bool(double share)>;

/// Thrown where a Progress said to stop: there is no result, and nothing is wrong.
class Cancelled : public std::runtime_error {
 public:
  Cancelled() : std::runtime_error("cancelled, as was asked for") {}
};

/// Reports `share`. \throws Cancelled if that is enough.
inline void report_progress(const Progress& progress, double share) {
  if (progress && !progress(share)) throw Cancelled();
}

/// The progress of one part of the work, which is [begin, end] of the whole.
inline Progress part_of(const Progress& whole, double begin, double end) {
  if (!whole) return {};
  return [whole, begin, end](double share) { return whole(begin + share * (end - begin)); };
}

}  // namespace flexae
