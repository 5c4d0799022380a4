#include "core/device_feed.h"

#include <ATen/ATen.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <utility>

namespace flexae {

DeviceFeed::DeviceFeed(BatchSource& source, at::Device device) : source_(source), device_(device) {
  if (!device.is_cpu()) {
    side_ = c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device);
  }
}

void DeviceFeed::start(std::vector<int64_t> order, int64_t batch_size) {
  ahead_.reset();
  pulled_ = 0;
  source_.start(std::move(order), batch_size);
  if (side_) copy_ahead();
}

bool DeviceFeed::pull(Batch& batch, int64_t& ordinal) {
  // A batch whose images are all unreadable trains nothing.
  while (source_.next(batch)) {
    ordinal = ++pulled_;
    if (!batch.indices.empty()) return true;
  }
  return false;
}

void DeviceFeed::copy_ahead() {
  ahead_.reset();
  Batch batch;
  int64_t ordinal = 0;
  if (!pull(batch, ordinal)) return;
  const c10::StreamGuard guard(*side_);
  Ahead next{{}, batch.images, c10::Event(device_.type())};
  next.item.images = batch.images.to(device_, /*non_blocking=*/true);
  next.item.indices = std::move(batch.indices);
  next.item.batch = ordinal;
  next.copied.record(*side_);
  ahead_.emplace(std::move(next));
}

bool DeviceFeed::next(Item& item) {
  if (!side_) {
    Batch batch;
    int64_t ordinal = 0;
    if (!pull(batch, ordinal)) return false;
    item = {std::move(batch.images), std::move(batch.indices), ordinal};
    return true;
  }
  if (!ahead_) return false;
  const c10::impl::VirtualGuardImpl guard(device_.type());
  const c10::Stream compute = guard.getStream(device_);
  compute.wait(ahead_->copied);
  item = std::move(ahead_->item);
  // The copy's memory belongs to the side stream; without this it could be reused there while the
  // batch is still being computed on.
  guard.recordDataPtrOnStream(item.images.storage().data_ptr(), compute);
  // The pinned memory goes back to its source only once the copy has left it.
  ahead_->copied.synchronize();
  copy_ahead();
  return true;
}

}  // namespace flexae
