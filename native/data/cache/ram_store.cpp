#include "data/cache/ram_store.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/base/error.h"

namespace flexae {

void RamStore::Unmap::operator()(uint8_t* memory) const {
  ::munmap(memory, bytes);
}

RamStore::Memory RamStore::reserve(size_t bytes) {
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    throw Error(ErrorCode::kMemory, "The system will not give the " + std::to_string(bytes >> 20) +
                                        " MB that the decoded images take.\nUse --cache disk.");
  }
  // Fewer page faults in the first epoch and fewer TLB misses in the others; fine without.
  ::madvise(memory, bytes, MADV_HUGEPAGE);
  return Memory(static_cast<uint8_t*>(memory), Unmap{bytes});
}

RamStore::RamStore(std::unique_ptr<ImageStore>&& source)
    : image_bytes_(static_cast<size_t>(source->spec().bytes())),
      memory_(reserve(std::max<size_t>(static_cast<size_t>(source->size()) * image_bytes_, 1))),
      states_(std::make_unique<std::atomic<uint8_t>[]>(static_cast<size_t>(source->size()))),
      left_(source->size()),
      source_(std::move(source)) {}

std::optional<std::string> RamStore::load(int64_t index, uint8_t* out) {
  std::atomic<uint8_t>& state = states_[static_cast<size_t>(index)];
  uint8_t* kept = memory_.get() + static_cast<size_t>(index) * image_bytes_;
  if (state.load(std::memory_order_acquire) == kKept) {
    std::memcpy(out, kept, image_bytes_);
    return std::nullopt;
  }
  auto reason = source_->load(index, out);
  uint8_t empty = kEmpty;
  if (state.compare_exchange_strong(empty, kFilling)) {
    if (!reason) std::memcpy(kept, out, image_bytes_);
    state.store(reason ? kBad : kKept, std::memory_order_release);
    left_.fetch_sub(1, std::memory_order_relaxed);
  }
  return reason;
}

}  // namespace flexae
