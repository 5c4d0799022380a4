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
  /// Posts the last job. The thread ends behind it.
  void close(std::function<void()> job);
  /// Waits for the job under way, and drops those behind it.
  void stop();

 private:
  void loop();

  std::atomic<uint64_t> posted_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> jobs_;
  bool closed_ = false;
  std::thread thread_;  ///< Last: it uses the others.
};

}  // namespace flexae::addon
