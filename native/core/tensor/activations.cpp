#include "core/tensor/activations.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "core/cpu/kernels/kernels.h"
#include "core/tensor/scale_images.h"
#include "core/tensor/scratch_buffer.h"

namespace flexae {

void DeferredBatchNorm::apply(const float* x, float* y, int64_t count) const {
  kernels().fp32.norm.affine_activate(x, y, count, scale.data(), shift.data(), period(),
                                      activation);
}

void DeferredBatchNorm::apply(const Bf16* x, Bf16* y, int64_t count) const {
  kernels().bf16.norm.affine_activate(x, y, count, scale.data(), shift.data(), period(),
                                      activation);
}

void DeferredBatchNorm::apply(const Bf16* x, float* y, int64_t count) const {
  kernels().bf16.norm.affine_activate_wide(x, y, count, scale.data(), shift.data(), period(),
                                           activation);
}

at::Tensor Activations::materialize() const {
  if (is_bytes()) return to_images(tensor_);
  // A CPU computes in fp32 what is stored in bf16.
  const bool widen = tensor_.is_cpu() && tensor_.scalar_type() == at::kBFloat16;
  if (!norm_) return widen ? tensor_.to(at::kFloat) : tensor_;
  at::Tensor out = at::empty(tensor_.sizes(), at::kFloat);
  const int64_t image = tensor_.numel() / tensor_.size(0);
  auto* y = out.mutable_data_ptr<float>();
  const auto apply = [&](const auto* x) {
    at::parallel_for(0, tensor_.size(0), 1, [&](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n) norm_->apply(x + n * image, y + n * image, image);
    });
  };
  if (tensor_.scalar_type() == at::kFloat) {
    apply(values<float>(tensor_));
  } else {
    apply(values<Bf16>(tensor_));
  }
  return out.permute({0, 3, 1, 2});
}

}  // namespace flexae
