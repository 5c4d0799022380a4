#include "data/memory_gate.h"

namespace flexae {

MemoryGate::Share::Share(MemoryGate& gate, int64_t bytes) : gate_(gate), bytes_(bytes) {
  std::unique_lock lock(gate_.mutex_);
  gate_.freed_.wait(lock,
                    [&] { return gate_.taken_ == 0 || gate_.taken_ + bytes_ <= gate_.limit_; });
  gate_.taken_ += bytes_;
}

MemoryGate::Share::~Share() {
  {
    const std::lock_guard lock(gate_.mutex_);
    gate_.taken_ -= bytes_;
  }
  gate_.freed_.notify_all();
}

}  // namespace flexae
