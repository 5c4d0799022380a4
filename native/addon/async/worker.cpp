#include "addon/async/worker.h"

#include <chrono>
#include <thread>
#include <utility>

#include "core/base/thread_team.h"

namespace flexae::addon {
namespace {

/// What answering and asking again takes JavaScript, and less than twice what it costs to wake a
/// thread up, at least under virtualization.
constexpr std::chrono::microseconds kAwake{50};
/// A thousand times what making a team takes.
constexpr std::chrono::milliseconds kKeepTeam{100};

/// Until `counter` is not `seen` any more, but not for long.
void wait_awake(const std::atomic<uint64_t>& counter, uint64_t seen) {
  const auto until = std::chrono::steady_clock::now() + kAwake;
  while (counter.load(std::memory_order_relaxed) == seen) {
    if (std::chrono::steady_clock::now() >= until) return;
    std::this_thread::yield();
  }
}

/// Whether run() was called since the last leave_team().
thread_local bool has_team = false;

}  // namespace

void leave_team() {
  if (!has_team) return;
  has_team = false;
  end_team();
}

bool Worker::post(std::function<void()> job) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return false;
    jobs_.push_back(std::move(job));
    posted_.fetch_add(1, std::memory_order_relaxed);
  }
  changed_.notify_one();
  return true;
}

bool Worker::run(const std::function<void()>& job) {
  {
    std::unique_lock lock(mutex_);
    free_.wait(lock, [this] { return jobs_.empty() && !busy_; });
    if (closed_) return false;
    busy_ = true;
  }
  has_team = true;
  job();
  const std::lock_guard lock(mutex_);
  busy_ = false;
  free_.notify_one();
  // The thread is not woken up for nothing.
  if (closed_ || !jobs_.empty()) changed_.notify_one();
  return true;
}

void Worker::close(std::function<void()> job) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    jobs_.push_back(std::move(job));
    closed_ = true;
  }
  changed_.notify_one();
}

void Worker::stop() {
  {
    const std::lock_guard lock(mutex_);
    jobs_.clear();
    closed_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Worker::loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    if (jobs_.empty() && !closed_) {
      const uint64_t seen = posted_.load(std::memory_order_relaxed);
      lock.unlock();
      wait_awake(posted_, seen);
      lock.lock();
    }
    const auto wanted = [this] { return !busy_ && (closed_ || !jobs_.empty()); };
    if (!changed_.wait_for(lock, kKeepTeam, wanted)) {
      lock.unlock();
      end_team();
      lock.lock();
      changed_.wait(lock, wanted);
    }
    if (jobs_.empty()) return;
    const std::function<void()> job = std::move(jobs_.front());
    jobs_.pop_front();
    busy_ = true;
    lock.unlock();
    job();
    lock.lock();
    busy_ = false;
    free_.notify_one();
  }
}

}  // namespace flexae::addon
