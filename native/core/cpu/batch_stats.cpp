#include "core/cpu/batch_stats.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/cpu/kernels/kernels.h"

namespace flexae {

BatchStats::BatchStats(const Shape& raw, const ModelConfig& config, Activation activation)
    : raw_(raw),
      momentum_(config.batch_norm_momentum),
      epsilon_(config.batch_norm_epsilon),
      activation_(activation),
      period_(std::lcm(raw.c, int64_t{32})) {}

// --- forward --------------------------------------------------------------------------------

void BatchStats::begin_forward(int64_t images) {
  images_ = images;
  moments_.get(images * 2 * raw_.c);
}

/// Mean and Σ(x − mean)² of one image's channels, around its first pixel so that a large mean costs
/// no digits.
template <typename T>
void BatchStats::add_moments(const T* raw, int64_t image, ScratchBuffer<float>& sums) {
  const int64_t c = raw_.c;
  float* buffer = sums.get(3 * period_);
  float* center = buffer;
  float* s1 = buffer + period_;
  float* s2 = s1 + period_;
  for (int64_t i = 0; i < period_; ++i) center[i] = widened(raw[i % c]);
  std::fill_n(s1, 2 * period_, 0.0F);
  kernels_of<T>().norm.moments(raw, raw_.numel(), center, period_, s1, s2);
  const auto count = static_cast<double>(pixels());
  float* out = moments_.get(images_ * 2 * c) + image * 2 * c;
  for (int64_t i = 0; i < c; ++i) {
    double sum = 0;
    double square = 0;
    for (int64_t j = i; j < period_; j += c) {
      sum += static_cast<double>(s1[j]);
      square += static_cast<double>(s2[j]);
    }
    out[i] = static_cast<float>(static_cast<double>(center[i]) + sum / count);
    out[c + i] = static_cast<float>(square - sum * sum / count);
  }
}

std::shared_ptr<const DeferredBatchNorm> BatchStats::end_forward(const NormTensors& tensors) {
  const int64_t c = raw_.c;
  const float* moments = moments_.get(images_ * 2 * c);
  const auto count = static_cast<double>(pixels());
  mean_.assign(static_cast<size_t>(c), 0.0);
  invstd_.assign(static_cast<size_t>(c), 0.0);
  std::vector<double> scale(static_cast<size_t>(c));
  std::vector<double> shift(static_cast<size_t>(c));
  const auto* gamma = values<float>(tensors.gamma);
  const auto* beta = values<float>(tensors.beta);
  const auto* bias = values<float>(tensors.bias);
  auto* moving_mean = mutable_values<float>(tensors.moving_mean);
  auto* moving_variance = mutable_values<float>(tensors.moving_variance);
  const double fresh = 1.0 - momentum_;
  std::vector<double> means(static_cast<size_t>(c));
  std::vector<double> squares(static_cast<size_t>(c));
  for (int64_t i = 0; i < c; ++i) {
    // Chan, Golub and LeVeque (1979): moments of parts to moments of the whole.
    double mean = 0;
    double m2 = 0;
    for (int64_t n = 0; n < images_; ++n) {
      const double part = static_cast<double>(moments[n * 2 * c + i]);
      const double delta = part - mean;
      mean += delta / static_cast<double>(n + 1);
      m2 += static_cast<double>(moments[n * 2 * c + c + i]) +
            delta * delta * count * static_cast<double>(n) / static_cast<double>(n + 1);
    }
    means[static_cast<size_t>(i)] = mean;
    squares[static_cast<size_t>(i)] = m2;
  }
  values_ = count * static_cast<double>(images_);
  if (communicator_ != nullptr) share_moments(moving_mean, means, squares);
  for (int64_t i = 0; i < c && values_ > 0; ++i) {
    const auto at = static_cast<size_t>(i);
    const double mean = means[at];
    const double variance = std::max(squares[at] / values_, 0.0);
    const double invstd = 1.0 / std::sqrt(variance + epsilon_);
    mean_[at] = mean;
    invstd_[at] = invstd;
    scale[at] = static_cast<double>(gamma[i]) * invstd;
    shift[at] = static_cast<double>(beta[i]) - mean * scale[at];
    moving_mean[i] += static_cast<float>(
        fresh * (mean + static_cast<double>(bias[i]) - static_cast<double>(moving_mean[i])));
    moving_variance[i] +=
        static_cast<float>(fresh * (variance - static_cast<double>(moving_variance[i])));
  }
  return make_norm(scale, shift);
}

/// Moments of this process's images to those of all. Around the moving mean, which is everywhere
/// the same and not far off, so that sums of squares lose no digits.
void BatchStats::share_moments(const float* around, std::vector<double>& means,
                               std::vector<double>& squares) {
  const auto c = static_cast<size_t>(raw_.c);
  const at::Tensor sums = at::empty({2 * raw_.c + 1}, at::kDouble);
  auto* s = sums.mutable_data_ptr<double>();
  for (size_t i = 0; i < c; ++i) {
    const double delta = means[i] - static_cast<double>(around[i]);
    s[i] = values_ * delta;
    s[c + i] = squares[i] + values_ * delta * delta;
  }
  s[2 * c] = values_;
  communicator_->sum(sums);
  values_ = s[2 * c];
  for (size_t i = 0; i < c && values_ > 0; ++i) {
    const double delta = s[i] / values_;
    means[i] = static_cast<double>(around[i]) + delta;
    squares[i] = s[c + i] - values_ * delta * delta;
  }
}

std::shared_ptr<const DeferredBatchNorm> BatchStats::moving_norm(const NormTensors& tensors) const {
  const int64_t c = raw_.c;
  std::vector<double> scale(static_cast<size_t>(c));
  std::vector<double> shift(static_cast<size_t>(c));
  const auto value = [](const at::Tensor& t, int64_t i) {
    return static_cast<double>(t.const_data_ptr<float>()[i]);
  };
  for (int64_t i = 0; i < c; ++i) {
    const auto at = static_cast<size_t>(i);
    scale[at] = value(tensors.gamma, i) / std::sqrt(value(tensors.moving_variance, i) + epsilon_);
    shift[at] = value(tensors.beta, i) +
                (value(tensors.bias, i) - value(tensors.moving_mean, i)) * scale[at];
  }
  return make_norm(scale, shift);
}

std::vector<float> BatchStats::periodic(const std::vector<double>& values) const {
  std::vector<float> out(static_cast<size_t>(period_));
  for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(values[i % values.size()]);
  return out;
}

std::shared_ptr<const DeferredBatchNorm> BatchStats::make_norm(
    const std::vector<double>& scale, const std::vector<double>& shift) const {
  auto norm = std::make_shared<DeferredBatchNorm>();
  norm->scale = periodic(scale);
  norm->shift = periodic(shift);
  norm->activation = activation_;
  return norm;
}

// --- backward -------------------------------------------------------------------------------

void BatchStats::begin_backward() {
  center_ = periodic(mean_);
  sums_.get(images_ * 2 * raw_.c);
}

BatchStats::Sums BatchStats::zero_sums(ScratchBuffer<float>& sums) const {
  float* s1 = sums.get(3 * period_);
  std::fill_n(s1, 2 * period_, 0.0F);
  return {s1, s1 + period_};
}

void BatchStats::add_sums(const Sums& sums, int64_t image) {
  const int64_t c = raw_.c;
  float* out = sums_.get(images_ * 2 * c) + image * 2 * c;
  for (int64_t i = 0; i < c; ++i) {
    double a = 0;
    double b = 0;
    for (int64_t j = i; j < period_; j += c) {
      a += static_cast<double>(sums.dz[j]);
      b += static_cast<double>(sums.dz_x[j]);
    }
    out[i] = static_cast<float>(a);
    out[c + i] = static_cast<float>(b);
  }
}

BatchStats::Gradients BatchStats::end_backward(const at::Tensor& gamma) {
  const int64_t c = raw_.c;
  const float* all = sums_.get(images_ * 2 * c);
  Gradients gradients{at::empty({c}, at::kFloat), at::empty({c}, at::kFloat)};
  std::vector<double> dx_scale(static_cast<size_t>(c));
  std::vector<double> dx_slope(static_cast<size_t>(c));
  std::vector<double> dx_offset(static_cast<size_t>(c));
  const auto* weight = values<float>(gamma);
  auto* dgamma = mutable_values<float>(gradients.gamma);
  auto* dbeta = mutable_values<float>(gradients.beta);
  // Over all processes' images; what γ and β get is added up with the other gradients.
  const at::Tensor shared = at::empty({2 * c}, at::kDouble);
  auto* sums = shared.mutable_data_ptr<double>();
  for (int64_t i = 0; i < c; ++i) {
    double s1 = 0;
    double s2 = 0;
    for (int64_t n = 0; n < images_; ++n) {
      s1 += static_cast<double>(all[n * 2 * c + i]);
      s2 += static_cast<double>(all[n * 2 * c + c + i]);
    }
    dgamma[i] = static_cast<float>(s2 * invstd_[static_cast<size_t>(i)]);
    dbeta[i] = static_cast<float>(s1);
    sums[i] = s1;
    sums[c + i] = s2;
  }
  if (communicator_ != nullptr) communicator_->sum(shared);
  const double count = std::max(values_, 1.0);
  for (int64_t i = 0; i < c; ++i) {
    const auto at = static_cast<size_t>(i);
    const double s1 = sums[i];
    const double s2 = sums[c + i];
    // dx = γσ·(dz − Σdz/m − (x − μ)·σ²·Σdz(x − μ)/m), σ = 1/√(var + ε) (Ioffe and Szegedy, 2015)
    dx_scale[at] = static_cast<double>(weight[i]) * invstd_[at];
    dx_slope[at] = -dx_scale[at] * invstd_[at] * invstd_[at] * s2 / count;
    dx_offset[at] = -dx_scale[at] * s1 / count - dx_slope[at] * mean_[at];
  }
  dx_scale_ = periodic(dx_scale);
  dx_slope_ = periodic(dx_slope);
  dx_offset_ = periodic(dx_offset);
  return gradients;
}

template void BatchStats::add_moments(const float*, int64_t, ScratchBuffer<float>&);
template void BatchStats::add_moments(const Bf16*, int64_t, ScratchBuffer<float>&);

}  // namespace flexae
