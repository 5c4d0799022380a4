#include "addon/async/parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "data/source/image_source.h"

namespace flexae::addon {

void in_parallel(size_t count, int workers, const std::function<void(size_t)>& work) {
  std::atomic<size_t> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  const auto run = [&] {
    for (size_t i = next++; i < count; i = next++) {
      try {
        work(i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        failure = std::current_exception();
        next = count;
      }
    }
  };
  const auto wanted = static_cast<size_t>(workers > 0 ? workers : default_workers());
  std::vector<std::jthread> threads;
  try {
    while (threads.size() + 1 < std::min(count, wanted)) threads.emplace_back(run);
  } catch (const std::system_error&) {
    // Fewer will do.
  }
  run();
  threads.clear();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace flexae::addon
