#include "core/value.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "core/kernels/kernels.h"

namespace flexae {

void PendingNorm::apply(const float* x, float* y, int64_t count) const {
  kernels().affine_activate(x, y, count, scale.data(), shift.data(), period(), activation);
}

at::Tensor Value::dense() const {
  if (!norm_) return tensor_;
  at::Tensor out = at::empty_like(tensor_);
  const int64_t image = tensor_.numel() / tensor_.size(0);
  const auto* x = tensor_.const_data_ptr<float>();
  auto* y = out.mutable_data_ptr<float>();
  at::parallel_for(0, tensor_.size(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) norm_->apply(x + n * image, y + n * image, image);
  });
  return out.permute({0, 3, 1, 2});
}

}  // namespace flexae
