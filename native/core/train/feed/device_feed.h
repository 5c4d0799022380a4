#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>
#include <c10/core/Stream.h>

#include <deque>
#include <optional>
#include <vector>

#include "core/train/feed/batch_source.h"
#include "core/train/feed/resident_set.h"

namespace flexae {

/// Brings a source's batches to a device. On an accelerator the copy of the next batch runs on a
/// stream of its own while the current one is computed, and a set that fits stays there: from the
/// second pass on its batches are gathered on the device. The host never waits for the device, but
/// to be no more than two batches ahead of it. On the CPU batches are passed on as they are.
class DeviceFeed {
 public:
  /// A batch on the device.
  struct Item {
    at::Tensor images;             ///< uint8 N×H×W×C on the device
    std::vector<int64_t> indices;  ///< as in Batch
    int64_t batch = 0;  ///< Its number in the pass, from 1; those without a readable image count.
  };

  /// Keeps a set of up to a quarter of the device's free memory there, on a CPU none.
  DeviceFeed(BatchSource& source, at::Device device);
  /// `resident_bytes`: how large a set is kept on the device.
  DeviceFeed(BatchSource& source, at::Device device, int64_t resident_bytes);

  void start(std::vector<int64_t> order, int64_t batch_size);
  /// False when the pass is over. Never gives an empty batch. What the caller does with a batch on
  /// the device, it must send there on the stream that is current in this call and the next.
  bool next(Item& item);

 private:
  struct Pulled {
    Batch batch;
    std::vector<int64_t> asked;  ///< What the source was to give.
    int64_t number = 0;
  };
  /// A batch on its way, or being computed on: kept until `done`.
  struct Flight {
    Item item;
    at::Tensor host;
    c10::Event done;
  };

  std::optional<Pulled> pull();
  void copy_ahead();
  void hold_back(const c10::Stream& compute);
  bool next_copied(Item& item);

  BatchSource& source_;
  at::Device device_;
  std::optional<c10::Stream> side_;
  ResidentSet resident_;
  bool from_resident_ = false;  ///< Of this pass.

  std::vector<int64_t> order_;
  size_t batch_size_ = 1;
  size_t position_ = 0;
  int64_t number_ = 0;

  std::optional<Flight> ahead_;
  std::optional<Flight> current_;
  std::deque<Flight> computing_;
};

}  // namespace flexae
