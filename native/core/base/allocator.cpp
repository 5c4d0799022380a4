#include "core/base/allocator.h"

#include <malloc.h>
#include <sys/resource.h>

#include <atomic>
#include <cstdlib>

namespace flexae {

namespace {

std::atomic<bool> keeps_freed_memory = false;

}  // namespace

void keep_freed_memory() {
  keeps_freed_memory = true;
  constexpr int kThreshold = 256 << 20;
  mallopt(M_MMAP_THRESHOLD, kThreshold);
  mallopt(M_TRIM_THRESHOLD, kThreshold);
}

void return_large_memory() {
  // Unless it is told, glibc takes to keeping what is as large as what was freed before.
  if (!keeps_freed_memory) mallopt(M_MMAP_THRESHOLD, 1 << 20);
}

void return_freed_memory() {
  ::malloc_trim(0);
}

void prefer_large_pages() {
  ::setenv("THP_MEM_ALLOC_ENABLE", "1", /*overwrite=*/0);
}

int64_t peak_memory() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace flexae
