#include "data/source/memory_source.h"

#include <ATen/Context.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "core/base/error.h"

namespace flexae {

MemoryBatchSource::MemoryBatchSource(const at::Tensor& images, bool pinned)
    : pinned_(pinned && at::hasCUDA()) {
  if (!images.defined() || images.dim() != 4 || images.scalar_type() != at::kByte ||
      !images.device().is_cpu()) {
    throw Error(ErrorCode::kInternal, "Images in memory must be N×H×W×C bytes on the host.");
  }
  images_ = images.contiguous();
}

void MemoryBatchSource::start(std::vector<int64_t> order, int64_t batch_size) {
  if (batch_size < 1) throw Error(ErrorCode::kInternal, "A batch must hold at least one image.");
  for (const int64_t index : order) {
    if (index < 0 || index >= size()) {
      throw Error(ErrorCode::kInternal, "Image " + std::to_string(index) + " is not in the set.");
    }
  }
  order_ = std::move(order);
  batch_size_ = static_cast<size_t>(batch_size);
  position_ = 0;
}

bool MemoryBatchSource::next(Batch& batch) {
  batch.images.reset();
  batch.indices.clear();
  if (position_ >= order_.size()) return false;
  const size_t count = std::min(batch_size_, order_.size() - position_);
  const auto begin = order_.begin() + static_cast<std::ptrdiff_t>(position_);
  batch.indices.assign(begin, begin + static_cast<std::ptrdiff_t>(count));
  position_ += count;

  batch.images =
      at::empty({static_cast<int64_t>(count), images_.size(1), images_.size(2), images_.size(3)},
                at::TensorOptions().dtype(at::kByte).pinned_memory(pinned_));
  const auto bytes = static_cast<size_t>(images_.numel() / std::max<int64_t>(images_.size(0), 1));
  const uint8_t* from = images_.const_data_ptr<uint8_t>();
  auto* to = batch.images.mutable_data_ptr<uint8_t>();
  for (size_t i = 0; i < count; ++i) {
    std::memcpy(to + i * bytes, from + static_cast<size_t>(batch.indices[i]) * bytes, bytes);
  }
  return true;
}

}  // namespace flexae
