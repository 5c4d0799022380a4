#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "core/train/feed/batch_source.h"

namespace flexae {

/// Batches of images that are in memory already.
class MemoryBatchSource : public BatchSource {
 public:
  /// `images`: uint8, N×H×W×C, on the host. With `pinned`, batches lie in pinned memory where there
  /// is a CUDA device. Throws Error(kInternal) for another type or shape.
  explicit MemoryBatchSource(const at::Tensor& images, bool pinned = false);

  [[nodiscard]] int64_t size() const override { return images_.size(0); }
  /// Throws Error(kInternal) for an index out of range or a batch size below 1.
  void start(std::vector<int64_t> order, int64_t batch_size) override;
  bool next(Batch& batch) override;

 private:
  at::Tensor images_;
  bool pinned_;
  std::vector<int64_t> order_;
  size_t batch_size_ = 1;
  size_t position_ = 0;
};

}  // namespace flexae
