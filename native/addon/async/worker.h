#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace flexae::addon {

/// One thread that does one thing after the other. OpenMP keeps a team of threads, and malloc an
/// arena, for each thread that computes: work that wandered over the four threads of Node's pool
/// would find a sleeping team and cold caches each time.
class Worker {
 public:
  /// Throws std::system_error if there can be no more threads.
  Worker() : thread_([this] { loop(); }) {}
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker() { stop(); }

  /// Does not wait. `job` must not throw. False after close(): the job is not done then.
  bool post(std::function<void()> job);
  /// Does `job` on the calling thread, once what was posted before is done: that takes a small job
  /// less than waking threads up. The calling thread keeps a team for it; leave_team() ends that.
  /// `job` must not throw. False after close().
  bool run(const std::function<void()>& job);
  /// Posts the last job. The thread ends behind it.
  void close(std::function<void()> job);
  /// Waits for the job under way, and drops those behind it.
  void stop();

 private:
  void loop();

  std::atomic<uint64_t> posted_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::condition_variable free_;  ///< Of those in run() that wait for their turn.
  std::deque<std::function<void()>> jobs_;
  bool busy_ = false;  ///< A job is being done, by whichever thread.
  bool closed_ = false;
  std::thread thread_;  ///< Last: it uses the others.
};

/// Ends the team that run() left to the calling thread, if it did, before another thread computes:
/// with two teams all threads would be more than the cores, and sleep where they should spin.
void leave_team();

}  // namespace flexae::addon
