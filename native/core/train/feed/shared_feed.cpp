#include "core/train/feed/shared_feed.h"

#include <ATen/ATen.h>

#include <utility>

#include "core/base/math.h"
#include "core/comm/share.h"

namespace flexae {

SharedFeed::SharedFeed(BatchSource& source, at::Device device, const ModelConfig& config,
                       const Communicator& communicator)
    : feed_(source, device), device_(device), config_(config), communicator_(communicator) {}

void SharedFeed::start(std::vector<int64_t> order, int64_t batch_size) {
  if (communicator_.is_alone()) return feed_.start(std::move(order), batch_size);
  const int rank = communicator_.rank();
  const int size = communicator_.size();
  number_ = 0;
  batches_ = ceil_div(static_cast<int64_t>(order.size()), batch_size);
  ahead_.reset();
  std::vector<int64_t> mine = shares_of(order, batch_size, rank, size);
  has_more_ = !mine.empty();
  if (has_more_) feed_.start(std::move(mine), share_of(batch_size, rank, size).images);
}

bool SharedFeed::next(Item& item) {
  if (communicator_.is_alone()) return feed_.next(item);
  if (number_ == batches_) return false;
  ++number_;
  if (!ahead_ && has_more_) {
    Item found;
    has_more_ = feed_.next(found);
    if (has_more_) ahead_ = std::move(found);
  }
  if (ahead_ && ahead_->batch == number_) {
    item = std::move(*ahead_);
    ahead_.reset();
    return true;
  }
  const auto options = at::TensorOptions().dtype(at::kByte).device(device_);
  item = {at::empty({0, config_.height, config_.width, config_.channels}, options), {}, number_};
  return true;
}

}  // namespace flexae
