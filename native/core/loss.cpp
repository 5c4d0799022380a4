#include "core/loss.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/error.h"
#include "core/kernels/kernels.h"

namespace flexae {

Metrics::Metrics(at::Device device)
    : sums_(at::zeros({kSums}, at::TensorOptions().dtype(at::kDouble).device(device))) {}

namespace {

/// Σ BCE, pixels right, Σ squared error, and the gradient, in one pass over each image.
at::Tensor sums_on_cpu(const at::Tensor& logits, const at::Tensor& target, at::Tensor* grad) {
  const int64_t images = logits.size(0);
  const int64_t pixels = logits.numel() / std::max<int64_t>(images, 1);
  if (grad != nullptr) *grad = at::empty_like(logits);
  const auto* z = logits.const_data_ptr<float>();
  const auto* t = target.const_data_ptr<float>();
  float* g = grad != nullptr ? grad->mutable_data_ptr<float>() : nullptr;
  const auto factor = static_cast<float>(1.0 / static_cast<double>(logits.numel()));
  std::vector<double> sums(static_cast<size_t>(images) * 3, 0.0);
  at::parallel_for(0, images, 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      kernels().bce(z + n * pixels, t + n * pixels, g != nullptr ? g + n * pixels : nullptr, pixels,
                    factor, sums.data() + 3 * n);
    }
  });
  at::Tensor total = at::zeros({3}, at::kDouble);
  // In the images' order, so that the threads' number does not change the last digit.
  for (size_t i = 0; i < sums.size(); ++i) total.mutable_data_ptr<double>()[i % 3] += sums[i];
  return total;
}

/// `sums`: on the host, as Metrics keeps them.
Metrics::Values means(const at::Tensor& sums, int64_t pixels, int64_t images) {
  if (images == 0) {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    return {nan, nan, nan, nan};
  }
  const double* s = sums.const_data_ptr<double>();
  const double mse = s[2] / static_cast<double>(pixels);
  return {s[0] / static_cast<double>(pixels) + s[3] / static_cast<double>(images),
          s[1] / static_cast<double>(pixels), mse, -10.0 * std::log10(mse)};
}

at::Tensor sums_by_aten(const at::Tensor& logits, const at::Tensor& target, at::Tensor* grad) {
  const at::Tensor p = at::sigmoid(logits);
  const at::Tensor bce =
      at::binary_cross_entropy_with_logits(logits, target, {}, {}, at::Reduction::None);
  const at::Tensor error = p - target;
  // Keras rounds at "greater than one half".
  const at::Tensor right = at::eq(at::gt(p, 0.5).to(target.scalar_type()), target);
  if (grad != nullptr) *grad = error / static_cast<double>(logits.numel());
  return at::stack(
      {bce.sum(at::kDouble), right.sum().to(at::kDouble), error.square().sum(at::kDouble)});
}

}  // namespace

at::Tensor Metrics::add(const at::Tensor& logits, const at::Tensor& target,
                        const at::Tensor& penalties, at::Tensor* grad) {
  count(logits.size(0), logits.numel());
  return accumulate(logits, target, penalties, grad);
}

void Metrics::count(int64_t images, int64_t values) {
  images_ += images;
  pixels_ += values;
}

at::Tensor Metrics::accumulate(const at::Tensor& logits, const at::Tensor& target,
                               const at::Tensor& penalties, at::Tensor* grad) {
  const bool plain = logits.is_cpu() && logits.scalar_type() == at::kFloat &&
                     target.scalar_type() == at::kFloat && logits.strides() == target.strides() &&
                     logits.is_non_overlapping_and_dense() && logits.dim() > 0;
  const at::Tensor sums =
      plain ? sums_on_cpu(logits, target, grad) : sums_by_aten(logits, target, grad);
  const at::Tensor costs = penalties.defined()
                               ? penalties.to(at::kDouble) * static_cast<double>(logits.size(0))
                               : at::zeros({}, sums_.options());
  sums_ += at::cat({sums, costs.reshape({1})});
  return sums[0] + costs;
}

Metrics::Values Metrics::values() const {
  return means(sums_.cpu(), pixels_, images_);
}

std::optional<Metrics::Values> Metrics::latest() {
  if (sums_.is_cpu()) return values();
  std::optional<Values> latest;
  if (glimpse_) {
    if (!glimpse_->copied.query()) return std::nullopt;
    latest = means(glimpse_->sums, glimpse_->pixels, glimpse_->images);
  }
  const at::Device device = sums_.device();
  glimpse_.emplace(
      Glimpse{at::empty({kSums}, at::TensorOptions().dtype(at::kDouble).pinned_memory(true)),
              pixels_, images_, c10::Event(device.type())});
  glimpse_->sums.copy_(sums_, /*non_blocking=*/true);
  glimpse_->copied.record(c10::impl::VirtualGuardImpl(device.type()).getStream(device));
  return latest;
}

void Metrics::reset() {
  glimpse_.reset();
  sums_.zero_();
  pixels_ = 0;
  images_ = 0;
}

at::Tensor Metrics::state() const {
  const at::Tensor counts =
      at::tensor({static_cast<double>(pixels_), static_cast<double>(images_)}, at::kDouble);
  return at::cat({sums_.cpu(), counts});
}

void Metrics::restore(const at::Tensor& state) {
  // Counts are exact as fp64 up to 2^53.
  const auto count = [&](int64_t i) { return state[i].item<double>(); };
  const auto valid = [](double value) { return value >= 0 && value <= 0x1p53; };
  if (!state.defined() || state.scalar_type() != at::kDouble || state.dim() != 1 ||
      state.size(0) != kSums + 2 || !valid(count(kSums)) || !valid(count(kSums + 1))) {
    throw Error(ErrorCode::kModel, "the saved metrics are not this program's");
  }
  glimpse_.reset();
  sums_.copy_(state.narrow(0, 0, kSums));
  pixels_ = static_cast<int64_t>(count(kSums));
  images_ = static_cast<int64_t>(count(kSums + 1));
}

}  // namespace flexae
