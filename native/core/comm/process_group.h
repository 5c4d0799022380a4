#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/comm/communicator.h"
#include "core/comm/join_options.h"

namespace flexae {

/// Why several processes cannot train together here, and what to do about it; "" if they can.
[[nodiscard]] std::string processes_problem();

/// Why their sums between GPUs go by the host; "" where NCCL makes them.
[[nodiscard]] std::string nccl_problem();

/// Whether this process has left a training in which others were lost. Threads may still wait for
/// them: it must end without destroying what those use.
[[nodiscard]] bool has_lost_others();

/// Several processes that train together, by c10d's TCPStore and gloo.
class ProcessGroup : public Communicator {
 public:
  /// Waits until all are there. Throws Error(kConfig) if this build cannot, and as
  /// Membership::join().
  static std::unique_ptr<ProcessGroup> join(const JoinOptions& options);

  /// Everybody's texts, by rank, before the training or after it. Waits for as long as all live.
  virtual std::vector<std::string> exchange(const std::string& text) = 0;
  /// This process cannot go on: all others end, with this reason. Does not throw.
  virtual void fail(const std::string& reason) noexcept = 0;
  /// This process is done.
  virtual void leave() = 0;
};

}  // namespace flexae
