#include "core/base/allocator.h"

#include <malloc.h>
#include <sys/resource.h>

#include <cstdlib>

namespace flexae {

void keep_freed_memory() {
  constexpr int kThreshold = 256 << 20;
  mallopt(M_MMAP_THRESHOLD, kThreshold);
  mallopt(M_TRIM_THRESHOLD, kThreshold);
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
