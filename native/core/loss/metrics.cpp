#include "core/loss/metrics.h"

#include <ATen/ATen.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <cmath>
#include <limits>

#include "core/base/error.h"

namespace flexae {

Metrics::Metrics(at::Device device)
    : sums_(at::zeros({kSums}, at::TensorOptions().dtype(at::kDouble).device(device))) {}

namespace {

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

}  // namespace

void Metrics::count(int64_t images, int64_t values) {
  images_ += images;
  pixels_ += values;
}

at::Tensor Metrics::accumulate(const at::Tensor& sums, int64_t images,
                               const at::Tensor& penalties) {
  return add(part(sums, images, penalties));
}

at::Tensor Metrics::part(const at::Tensor& sums, int64_t images,
                         const at::Tensor& penalties) const {
  const at::Tensor costs = penalties.defined()
                               ? penalties.to(at::kDouble) * static_cast<double>(images)
                               : at::zeros({}, sums_.options());
  return at::cat({sums, costs.reshape({1})});
}

at::Tensor Metrics::add(const at::Tensor& part) {
  sums_ += part;
  return part[0] + part[3];
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
