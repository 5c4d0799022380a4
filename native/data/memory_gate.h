#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace flexae {

/// Holds threads back while what they would take together is more than a limit. One alone may take
/// any amount, so that nothing waits for ever.
class MemoryGate {
 public:
  explicit MemoryGate(int64_t limit) : limit_(limit) {}

  /// A share of the limit, given back with its owner. Waits for it; take one at a time.
  class Share {
   public:
    Share(MemoryGate& gate, int64_t bytes);
    ~Share();
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

   private:
    MemoryGate& gate_;
    const int64_t bytes_;
  };

 private:
  const int64_t limit_;
  std::mutex mutex_;
  std::condition_variable freed_;
  int64_t taken_ = 0;
};

}  // namespace flexae
