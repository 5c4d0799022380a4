#include "core/cpu/norm_pool.h"

#include <ATen/ATen.h>

#include <type_traits>

#include "core/cpu/image_groups.h"
#include "core/cpu/kernels/kernels.h"

namespace flexae {

template <typename T>
NormPool<T>::NormPool(const Shape& raw, const Shape& out, Pooling pooling,
                      const ModelConfig& config, Activation activation)
    : raw_(raw),
      out_(out),
      activation_(activation),
      pooling_(pooling, raw, out),
      stats_(raw, config, activation) {}

template <typename T>
void NormPool<T>::prepare(int threads) {
  if (static_cast<int>(scratch_.size()) < threads) scratch_.resize(static_cast<size_t>(threads));
}

// --- forward --------------------------------------------------------------------------------

template <typename T>
Activations NormPool<T>::end_forward(const at::Tensor& raw, const NormTensors& tensors) {
  norm_ = stats_.end_forward(tensors);
  raw_view_ = raw;
  if (!pools()) return {raw, norm_};
  return pool(raw);
}

template <typename T>
template <typename R>
void NormPool<T>::activate_and_pool(const R* raw, int64_t row, float* lines, R* out,
                                    uint8_t* argmax) const {
  if (pooling_.averages_whole(row)) {
    kernels_of<R>().norm.average_activated(raw, raw + line(), out, out_.w, raw_.c,
                                           norm_->scale.data(), norm_->shift.data(), activation_);
    return;
  }
  norm_->apply(raw, lines, pooling_.rows_under(row) * line());
  if constexpr (std::is_same_v<R, float>) {
    pooling_.forward(lines, row, out, argmax);
  } else {
    // Behind the lines is room for a pooled one.
    float* pooled = lines + 2 * line();
    pooling_.forward(lines, row, pooled, argmax);
    kernels_of<R>().elementwise.store(pooled, out, out_line());
  }
}

template <typename T>
Activations NormPool<T>::pool(const at::Tensor& raw) {
  const int64_t images = raw.size(0);
  const at::Tensor out = pooled_.view({images, out_.h, out_.w, out_.c});
  if (pooling_.kind() == Pooling::kMax && (!argmax_.defined() || argmax_.size(0) < images)) {
    argmax_ = at::empty({images, out_.numel()}, at::kByte);
  }
  for_each_image(images, [&](int64_t n, int thread) {
    float* lines = scratch(thread).lines.get(2 * line() + out_line());
    const T* x = values<T>(raw) + n * raw_.numel();
    T* y = mutable_values<T>(out) + n * out_.numel();
    for (int64_t row = 0; row < out_.h; ++row) {
      activate_and_pool(x + 2 * row * line(), row, lines, y + row * out_line(), argmax(n, row));
    }
  });
  return Activations(out.permute({0, 3, 1, 2}));
}

template <typename T>
uint8_t* NormPool<T>::argmax(int64_t n, int64_t row) {
  if (pooling_.kind() != Pooling::kMax) return nullptr;
  return argmax_.mutable_data_ptr<uint8_t>() + n * out_.numel() + row * out_line();
}

// --- backward -------------------------------------------------------------------------------

template <typename T>
template <typename Body, typename Means>
void NormPool<T>::for_each_stretch(const at::Tensor& grad, int64_t n, int thread, Body body,
                                   Means means) {
  const T* dy = values<T>(grad) + n * out_.numel();
  if (!pools()) {
    body(int64_t{0}, raw_.numel(), dy);
    return;
  }
  T* lines = scratch(thread).gradient_lines.get(2 * line());
  for (int64_t row = 0; row < out_.h; ++row) {
    const T* pooled = dy + row * out_line();
    if (pooling_.averages_whole(row)) {
      means(2 * row * line(), pooled);
      continue;
    }
    pooling_.backward(pooled, row, lines, argmax(n, row));
    body(2 * row * line(), pooling_.rows_under(row) * line(), static_cast<const T*>(lines));
  }
}

template <typename T>
BatchStats::Gradients NormPool<T>::begin_backward(const at::Tensor& dy, const at::Tensor& gamma) {
  stats_.begin_backward();
  for_each_image(dy.size(0), [&](int64_t n, int thread) {
    const BatchStats::Sums sums = stats_.zero_sums(scratch(thread).sums);
    const T* raw = values<T>(raw_view_) + n * raw_.numel();
    for_each_stretch(
        dy, n, thread,
        [&](int64_t offset, int64_t count, const T* g) {
          kernels_of<T>().norm.backward_sums(raw + offset, g, count, norm_->scale.data(),
                                             norm_->shift.data(), stats_.center(), stats_.period(),
                                             activation_, sums.dz, sums.dz_x);
        },
        [&](int64_t offset, const T* g) {
          kernels_of<T>().norm.averaged_backward_sums(
              raw + offset, raw + offset + line(), g, out_.w, raw_.c, norm_->scale.data(),
              norm_->shift.data(), stats_.center(), activation_, sums.dz, sums.dz_x);
        });
    stats_.add_sums(sums, n);
  });
  return stats_.end_backward(gamma);
}

template <typename T>
void NormPool<T>::raw_gradient(const at::Tensor& dy, int64_t n, T* dx, int64_t stride, int thread) {
  const T* raw = values<T>(raw_view_) + n * raw_.numel();
  for_each_stretch(
      dy, n, thread,
      [&](int64_t offset, int64_t count, const T* g) {
        // Stretches are whole lines, as one or one by one.
        const int64_t step = stride == line() ? count : line();
        for (int64_t i = 0; i < count; i += step) {
          kernels_of<T>().norm.backward_apply(
              raw + offset + i, g + i, dx + (offset + i) / line() * stride, step,
              norm_->scale.data(), norm_->shift.data(), stats_.dx_scale(), stats_.dx_slope(),
              stats_.dx_offset(), stats_.period(), activation_);
        }
      },
      [&](int64_t offset, const T* g) {
        T* to = dx + offset / line() * stride;
        kernels_of<T>().norm.averaged_backward_apply(
            raw + offset, raw + offset + line(), g, to, to + stride, out_.w, raw_.c,
            norm_->scale.data(), norm_->shift.data(), stats_.dx_scale(), stats_.dx_slope(),
            stats_.dx_offset(), activation_);
      });
}

template class NormPool<float>;
template class NormPool<Bf16>;
template void NormPool<float>::activate_and_pool(const float*, int64_t, float*, float*,
                                                 uint8_t*) const;
template void NormPool<Bf16>::activate_and_pool(const float*, int64_t, float*, float*,
                                                uint8_t*) const;

}  // namespace flexae
