#pragma once

#include <c10/util/intrusive_ptr.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/comm/join_options.h"

namespace c10d {
class Store;
}

namespace flexae {

/// Who the processes of a training are, and whether they live: by a TCPStore, to which each gives a
/// sign of life every second. Rank 0 looks for everybody's and all look for rank 0's; whoever finds
/// one missing, or fails itself, leaves a word there, which ends all others. Two threads of its
/// own: one talks to the store, the other sees that the first is not stuck, and ends a process that
/// does not hear that the training is over. Functions on any thread.
class Membership : public std::enable_shared_from_this<Membership> {
 public:
  /// Finds the others; returns when all are there. Throws Error(kProcess), naming who is missing,
  /// and Error(kConfig) for a port in use, a rank taken twice, or another number of processes.
  static std::shared_ptr<Membership> join(const JoinOptions& options);

  [[nodiscard]] const JoinOptions& options() const { return options_; }
  [[nodiscard]] const c10::intrusive_ptr<c10d::Store>& store() const { return store_; }

  /// Throws Error(kProcess) if somebody failed or is lost.
  void require_all();
  /// A connection to somebody broke, or a sum took too long: finds out who is gone, and throws
  /// that.
  [[noreturn]] void explain(const std::string& error);
  /// Ends all with this reason, unless there is one already. Does not throw.
  void fail(const std::string& reason) noexcept;
  /// Whoever trains knows that it failed.
  void hear();
  [[nodiscard]] bool has_failed() { return !failure().empty(); }
  /// Everybody's texts, by rank. Waits for as long as all live.
  std::vector<std::string> exchange(const std::string& text);
  /// All is well, and this process is not missed any more. Whoever has the store waits until all
  /// have left it, for a while.
  void leave();

 private:
  using Clock = std::chrono::steady_clock;

  explicit Membership(const JoinOptions& options) : options_(options) {}
  void open_store();
  void take_seat();
  void wait_for_all();
  [[nodiscard]] std::string who(int rank) const;
  void set_failure(const std::string& reason);
  [[nodiscard]] std::string failure();
  void watch();
  void watch_the_watch();
  /// False when it is over.
  bool rest(std::chrono::milliseconds time);

  const JoinOptions options_;
  c10::intrusive_ptr<c10d::Store> store_;
  c10::intrusive_ptr<c10d::Store> watched_;  ///< The same by a connection of its own.
  std::vector<std::string> names_;           ///< By rank: host and process.
  int64_t exchanges_ = 0;

  std::mutex mutex_;
  std::condition_variable change_;
  std::string failure_;
  bool is_heard_ = false;  ///< The failure, by whoever trains.
  bool is_over_ = false;
  bool is_store_gone_ = false;  ///< To ask it anything would be to wait for an answer.
  bool suspects_ = false;
  Clock::time_point failed_at_;
  Clock::time_point last_round_ = Clock::now();
};

}  // namespace flexae
