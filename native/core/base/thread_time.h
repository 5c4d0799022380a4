#pragma once

#include <ctime>

#include <cstdint>

namespace flexae {

/// How long this thread has computed, waiting excluded, in nanoseconds.
inline int64_t thread_nanoseconds() {
  std::timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return int64_t{1'000'000'000} * time.tv_sec + time.tv_nsec;
}

}  // namespace flexae
