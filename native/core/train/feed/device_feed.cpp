#include "core/train/feed/device_feed.h"

#include <ATen/ATen.h>
#include <ATen/DeviceAccelerator.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <utility>

namespace flexae {
namespace {

/// How many batches the host may have sent that the device has not finished: enough to keep it
/// busy, few enough that it stops soon when asked to.
constexpr size_t kMostComputing = 2;

int64_t quarter_of_free_memory(at::Device device) {
  if (device.is_cpu()) return 0;
  return static_cast<int64_t>(at::accelerator::getMemoryInfo(device.index()).first / 4);
}

}  // namespace

DeviceFeed::DeviceFeed(BatchSource& source, at::Device device)
    : DeviceFeed(source, device, quarter_of_free_memory(device)) {}

DeviceFeed::DeviceFeed(BatchSource& source, at::Device device, int64_t resident_bytes)
    : source_(source), device_(device), resident_(source.size(), device, resident_bytes) {
  if (!device.is_cpu()) {
    side_ = c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device);
  }
}

void DeviceFeed::start(std::vector<int64_t> order, int64_t batch_size) {
  if (side_ && ahead_) {
    // What an abandoned pass has left under way may be part of the resident set.
    ahead_->done.block(c10::impl::VirtualGuardImpl(device_.type()).getStream(device_));
  }
  ahead_.reset();
  from_resident_ = resident_.covers(order);
  if (from_resident_) {
    resident_.start(order, batch_size);
    return;
  }
  order_ = order;
  batch_size_ = static_cast<size_t>(batch_size);
  position_ = 0;
  number_ = 0;
  source_.start(std::move(order), batch_size);
  if (side_) copy_ahead();
}

std::optional<DeviceFeed::Pulled> DeviceFeed::pull() {
  Pulled pulled;
  while (source_.next(pulled.batch)) {
    const size_t end = std::min(position_ + batch_size_, order_.size());
    pulled.asked.assign(order_.begin() + static_cast<ptrdiff_t>(position_),
                        order_.begin() + static_cast<ptrdiff_t>(end));
    position_ = end;
    pulled.number = ++number_;
    if (!pulled.batch.indices.empty()) return pulled;
    // A batch whose images are all unreadable trains nothing.
    resident_.add(pulled.asked, {}, {});
  }
  return std::nullopt;
}

void DeviceFeed::copy_ahead() {
  ahead_.reset();
  std::optional<Pulled> pulled = pull();
  if (!pulled) return;
  at::Tensor host = std::move(pulled->batch.images);
  // Copies from pageable memory are not asynchronous.
  if (!host.is_pinned()) host = host.pin_memory();
  const c10::StreamGuard guard(*side_);
  Item item{host.to(device_, /*non_blocking=*/true), std::move(pulled->batch.indices),
            pulled->number};
  resident_.add(pulled->asked, item.images, item.indices);
  c10::Event done(device_.type());
  done.record(*side_);
  ahead_.emplace(Flight{std::move(item), std::move(host), std::move(done)});
}

/// Keeps the batch given last until the device has computed on it: its memory belongs to the side
/// stream and may be used again there. Waits for the batch before the ones that may be under way.
void DeviceFeed::hold_back(const c10::Stream& compute) {
  if (current_) {
    current_->done.record(compute);
    computing_.push_back(std::move(*current_));
    current_.reset();
  }
  while (computing_.size() > kMostComputing) {
    computing_.front().done.synchronize();
    computing_.pop_front();
  }
  while (!computing_.empty() && computing_.front().done.query()) computing_.pop_front();
}

bool DeviceFeed::next_copied(Item& item) {
  if (!ahead_) return false;
  const c10::Stream compute = c10::impl::VirtualGuardImpl(device_.type()).getStream(device_);
  ahead_->done.block(compute);
  item = ahead_->item;
  current_ = std::move(ahead_);
  copy_ahead();
  return true;
}

bool DeviceFeed::next(Item& item) {
  if (side_) hold_back(c10::impl::VirtualGuardImpl(device_.type()).getStream(device_));
  if (from_resident_) {
    if (!resident_.next(item.images, item.indices, item.batch)) return false;
    if (side_) current_.emplace(Flight{item, {}, c10::Event(device_.type())});
    return true;
  }
  if (side_) return next_copied(item);
  std::optional<Pulled> pulled = pull();
  if (!pulled) return false;
  resident_.add(pulled->asked, pulled->batch.images, pulled->batch.indices);
  item = {std::move(pulled->batch.images), std::move(pulled->batch.indices), pulled->number};
  return true;
}

}  // namespace flexae
