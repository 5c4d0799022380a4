#include "core/loss.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>

namespace flexae {

Metrics::Metrics(at::Device device)
    : sums_(at::zeros({4}, at::TensorOptions().dtype(at::kDouble).device(device))) {}

void Metrics::add(const at::Tensor& logits, const at::Tensor& target, const at::Tensor& penalties,
                  at::Tensor* grad) {
  const at::Tensor p = at::sigmoid(logits);
  const at::Tensor bce =
      at::binary_cross_entropy_with_logits(logits, target, {}, {}, at::Reduction::None);
  const at::Tensor error = p - target;
  // Keras rounds at "greater than one half".
  const at::Tensor right = at::eq(at::gt(p, 0.5).to(target.scalar_type()), target);
  at::Tensor costs = penalties.defined()
                         ? penalties.to(at::kDouble) * static_cast<double>(logits.size(0))
                         : at::zeros({}, sums_.options());
  sums_ += at::stack({bce.sum(at::kDouble), right.sum().to(at::kDouble),
                      error.square().sum(at::kDouble), costs});
  pixels_ += logits.numel();
  images_ += logits.size(0);
  if (grad != nullptr) *grad = error / static_cast<double>(logits.numel());
}

Metrics::Values Metrics::values() const {
  if (images_ == 0) {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    return {nan, nan, nan, nan};
  }
  const at::Tensor host = sums_.cpu();
  const double* s = host.const_data_ptr<double>();
  const auto pixels = static_cast<double>(pixels_);
  const double mse = s[2] / pixels;
  return {s[0] / pixels + s[3] / static_cast<double>(images_), s[1] / pixels, mse,
          -10.0 * std::log10(mse)};
}

void Metrics::reset() {
  sums_.zero_();
  pixels_ = 0;
  images_ = 0;
}

}  // namespace flexae
