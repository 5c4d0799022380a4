#include "core/train/non_finite.h"

#include <ATen/ATen.h>

namespace flexae {

NonFiniteWatch::NonFiniteWatch(at::Device device)
    : first_(at::zeros({}, at::TensorOptions().dtype(at::kDouble).device(device))) {}

void NonFiniteWatch::note(const at::Tensor& loss, const at::Tensor& finite_gradients,
                          const at::Tensor& batch) {
  const at::Tensor finite_loss = at::isfinite(loss);
  const at::Tensor finite = at::logical_and(finite_loss, finite_gradients);
  const at::Tensor is_first = at::logical_and(first_.eq(0), finite.logical_not());
  first_.copy_(at::where(is_first, batch * 2 + finite_loss, first_));
}

std::optional<NonFinite> NonFiniteWatch::found() const {
  const auto code = static_cast<int64_t>(first_.item<double>());
  if (code == 0) return std::nullopt;
  return NonFinite{code / 2, code % 2 == 1};
}

void NonFiniteWatch::reset() {
  first_.zero_();
}

}  // namespace flexae
