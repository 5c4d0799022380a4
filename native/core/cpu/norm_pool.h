#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "core/cpu/batch_stats.h"
#include "core/cpu/pooling.h"
#include "core/tensor/activations.h"
#include "core/tensor/scratch_buffer.h"

namespace flexae {

/// What is behind the convolution of a stage: batch normalization, activation, and a pooling or
/// none. The normalized tensor is never written: without a pooling it is handed on as it is due
/// (see Activations), and the backward pass computes it once more from the raw output. T: what raw
/// outputs are stored as.
template <typename T>
class NormPool {
 public:
  /// `raw`: of one image; `out`: pooled.
  NormPool(const Shape& raw, const Shape& out, Pooling pooling, const ModelConfig& config,
           Activation activation);

  /// As BatchStats::share().
  void share(Communicator& communicator) { stats_.share(communicator); }

  /// Memory for so many threads.
  void prepare(int threads);

  // Forward, in training: moments of every image while it is in the thread's cache, then the rest.
  void begin_forward(int64_t images) { stats_.begin_forward(images); }
  void add_moments(const T* raw, int64_t image, int thread) {
    stats_.add_moments(raw, image, scratch(thread).sums);
  }
  /// `raw`: N×H×W×C; it must stay as it is until the backward pass.
  Activations end_forward(const at::Tensor& raw, const NormTensors& tensors);

  // Evaluation, by the moving statistics.
  void prepare_inference(const NormTensors& tensors) { norm_ = stats_.moving_norm(tensors); }
  [[nodiscard]] bool pools() const { return pooling_.kind() != Pooling::kNone; }
  /// Normalizes and activates `count` values in place.
  void activate(float* raw, int64_t count) const { norm_->apply(raw, raw, count); }
  /// Pooled row `row` of the raw rows under it, which it overwrites.
  void pool_row(float* raw, int64_t row, float* out) const {
    activate_and_pool(raw, row, raw, out, nullptr);
  }

  /// Backward: the gradients of γ and β from that of the output, N×H×W×C, over the whole batch;
  /// then the gradient of each image's raw output.
  BatchStats::Gradients begin_backward(const at::Tensor& dy, const at::Tensor& gamma);
  /// Of image `n`, its lines `stride` values apart.
  void raw_gradient(const at::Tensor& dy, int64_t n, T* dx, int64_t stride, int thread);

 private:
  struct Scratch {
    ScratchBuffer<float> sums;
    ScratchBuffer<float> lines;       // rows under a pooling
    ScratchBuffer<T> gradient_lines;  // of rows under a pooling
  };

  Scratch& scratch(int thread) { return scratch_[static_cast<size_t>(thread)]; }
  /// Pooled row `row` of the raw rows under it. `lines`: memory for those, which may be theirs.
  template <typename R>
  void activate_and_pool(const R* raw, int64_t row, float* lines, R* out, uint8_t* argmax) const;
  Activations pool(const at::Tensor& raw);
  /// Where the maxima of a pooled row were found; null for averages.
  uint8_t* argmax(int64_t n, int64_t row);
  /// Calls body(offset, count, dy) for stretches of one image's raw output and the gradient of its
  /// activation there, or means(offset, dy) for two rows of it and the gradient of their means.
  template <typename Body, typename Means>
  void for_each_stretch(const at::Tensor& grad, int64_t n, int thread, Body body, Means means);
  [[nodiscard]] int64_t line() const { return raw_.w * raw_.c; }
  [[nodiscard]] int64_t out_line() const { return out_.w * out_.c; }

  Shape raw_;
  Shape out_;
  Activation activation_;
  RowPooling pooling_;
  BatchStats stats_;
  std::shared_ptr<const DeferredBatchNorm> norm_;
  std::vector<Scratch> scratch_;
  ScratchBuffer<T> pooled_;
  at::Tensor raw_view_;
  at::Tensor argmax_;
};

}  // namespace flexae
