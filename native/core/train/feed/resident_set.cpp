#include "core/train/feed/resident_set.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace flexae {
namespace {

/// To the device without waiting for it: pinned memory stays its allocator's until the copy is
/// done.
at::Tensor to_device(const std::vector<int64_t>& values, at::Device device) {
  const at::Tensor host =
      at::empty({static_cast<int64_t>(values.size())},
                at::TensorOptions().dtype(at::kLong).pinned_memory(!device.is_cpu()));
  std::copy(values.begin(), values.end(), host.mutable_data_ptr<int64_t>());
  return host.to(device, /*non_blocking=*/true);
}

}  // namespace

ResidentSet::ResidentSet(int64_t images, at::Device device, int64_t most_bytes)
    : device_(device), most_bytes_(most_bytes) {
  if (most_bytes > 0) known_.assign(static_cast<size_t>(images), Known::kNot);
}

void ResidentSet::drop() {
  known_.clear();
  images_.reset();
}

void ResidentSet::add(const std::vector<int64_t>& asked, const at::Tensor& images,
                      const std::vector<int64_t>& indices) {
  if (known_.empty()) return;
  for (const int64_t index : asked) known_[static_cast<size_t>(index)] = Known::kUnreadable;
  if (indices.empty()) return;
  if (!images_.defined()) {
    std::vector<int64_t> sizes = images.sizes().vec();
    sizes[0] = static_cast<int64_t>(known_.size());
    if (images.nbytes() / indices.size() * known_.size() > static_cast<size_t>(most_bytes_)) {
      return drop();
    }
    try {
      images_ = at::empty(sizes, images.options());
    } catch (const c10::OutOfMemoryError&) {
      // Free memory may be in pieces, or somebody else's by now. Training goes on without.
      return drop();
    }
  }
  images_.index_copy_(0, to_device(indices, device_), images);
  for (const int64_t index : indices) known_[static_cast<size_t>(index)] = Known::kHeld;
}

bool ResidentSet::covers(const std::vector<int64_t>& order) const {
  return !known_.empty() && std::all_of(order.begin(), order.end(), [this](int64_t index) {
    return known_[static_cast<size_t>(index)] != Known::kNot;
  });
}

void ResidentSet::start(const std::vector<int64_t>& order, int64_t batch_size) {
  order_.clear();
  counts_.clear();
  batch_ = 0;
  position_ = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    if (i % static_cast<size_t>(batch_size) == 0) counts_.push_back(0);
    if (known_[static_cast<size_t>(order[i])] != Known::kHeld) continue;
    order_.push_back(order[i]);
    ++counts_.back();
  }
  device_order_ = to_device(order_, device_);
}

bool ResidentSet::next(at::Tensor& images, std::vector<int64_t>& indices, int64_t& number) {
  while (batch_ < counts_.size() && counts_[batch_] == 0) ++batch_;
  if (batch_ == counts_.size()) return false;
  const int64_t count = counts_[batch_++];
  images = images_.index_select(0, device_order_.narrow(0, position_, count));
  const auto begin = order_.begin() + static_cast<ptrdiff_t>(position_);
  indices.assign(begin, begin + static_cast<ptrdiff_t>(count));
  position_ += count;
  number = static_cast<int64_t>(batch_);
  return true;
}

}  // namespace flexae
