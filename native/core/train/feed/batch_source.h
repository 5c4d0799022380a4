#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace flexae {

/// A batch of images on the host.
struct Batch {
  /// uint8, N×H×W×C contiguous, values 0…255; pinned when the source was asked for pinned memory.
  at::Tensor images;
  /// For each of the N rows, the index of its image in the source, in [0, size()).
  std::vector<int64_t> indices;
};

/// Where the trainer gets its images. One consumer thread; implementations may prefetch on threads
/// of their own. Exceptions thrown by next() end the training.
class BatchSource {
 public:
  virtual ~BatchSource() = default;
  BatchSource() = default;
  BatchSource(const BatchSource&) = delete;
  BatchSource& operator=(const BatchSource&) = delete;

  /// Number of images, those found unreadable included.
  [[nodiscard]] virtual int64_t size() const = 0;

  /// Starts a pass over the images in the given order (indices in [0, size()); each at most once).
  /// A pass still running is abandoned.
  virtual void start(std::vector<int64_t> order, int64_t batch_size) = 0;

  /// The next batch, in order; blocks until it is there. Unreadable images are left out, so a batch
  /// may be short or empty (N = 0). Returns false when the pass is over.
  virtual bool next(Batch& batch) = 0;
};

}  // namespace flexae
