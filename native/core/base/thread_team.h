#pragma once

namespace flexae {

/// Ends the threads that OpenMP keeps for the calling thread, which makes them again when it next
/// computes. When they are more than the cores in the whole process, though all but one's sleep,
/// libgomp lets every thread sleep at once where it otherwise spins, and steps of a millisecond
/// take half as long again: so a thread that is done, or that waits for long, should have none.
void end_team();

/// Ends the team when the scope ends.
class TeamScope {
 public:
  TeamScope() = default;
  TeamScope(const TeamScope&) = delete;
  TeamScope& operator=(const TeamScope&) = delete;
  ~TeamScope() { end_team(); }
};

}  // namespace flexae
