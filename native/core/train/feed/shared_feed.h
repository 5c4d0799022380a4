#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/comm/communicator.h"
#include "core/spec/model_config.h"
#include "core/train/feed/device_feed.h"

namespace flexae {

/// A DeviceFeed of this process's part of each batch. Several processes get as many batches as one
/// would, so that their steps meet: where one has no image of a batch, it gets an empty one.
class SharedFeed {
 public:
  using Item = DeviceFeed::Item;

  /// Everything given must outlive the object. `config` has the images' shape.
  SharedFeed(BatchSource& source, at::Device device, const ModelConfig& config,
             const Communicator& communicator);

  /// `order` and `batch_size`: of all processes.
  void start(std::vector<int64_t> order, int64_t batch_size);
  /// As DeviceFeed::next(), but that a batch may be empty where there are several processes.
  bool next(Item& item);

 private:
  DeviceFeed feed_;
  at::Device device_;
  const ModelConfig& config_;
  const Communicator& communicator_;
  bool has_more_ = false;
  int64_t number_ = 0;
  int64_t batches_ = 0;
  std::optional<Item> ahead_;
};

}  // namespace flexae
