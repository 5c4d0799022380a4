#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>
#include <c10/core/Stream.h>

#include <optional>
#include <vector>

#include "core/batch_source.h"

namespace flexae {

/// Brings a source's batches to a device, one ahead: on an accelerator the copy of the next batch
/// runs on a stream of its own while the current one is computed. On the CPU it passes them on.
class DeviceFeed {
 public:
  struct Item {
    at::Tensor images;             ///< uint8 N×H×W×C on the device
    std::vector<int64_t> indices;  ///< as in Batch
    /// Its place in the pass, from 1. A batch without a readable image has one too, but is passed
    /// over.
    int64_t batch = 0;
  };

  DeviceFeed(BatchSource& source, at::Device device);

  void start(std::vector<int64_t> order, int64_t batch_size);
  /// False when the pass is over. Never gives an empty batch.
  bool next(Item& item);

 private:
  struct Ahead {
    Item item;
    at::Tensor host;  ///< kept until the copy is done
    c10::Event copied;
  };

  bool pull(Batch& batch, int64_t& ordinal);
  void copy_ahead();

  BatchSource& source_;
  at::Device device_;
  int64_t pulled_ = 0;
  std::optional<c10::Stream> side_;
  std::optional<Ahead> ahead_;
};

}  // namespace flexae
