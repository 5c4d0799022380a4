#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "core/comm/communicator.h"
#include "core/spec/layer_spec.h"
#include "core/spec/model_config.h"
#include "core/tensor/activations.h"
#include "core/tensor/scratch_buffer.h"

namespace flexae {

/// The tensors of a batch normalization behind a convolution. The convolution's bias is left out of
/// its output, since all that it does is move the mean.
struct NormTensors {
  at::Tensor bias;  ///< of the convolution
  at::Tensor gamma;
  at::Tensor beta;
  at::Tensor moving_mean;
  at::Tensor moving_variance;
};

/// What a batch normalization needs to know of a batch, made of what is known of each image, which
/// a thread gathers while the image is in its cache. Images are H×W×C and raw: not normalized. A
/// pass begins with begin_…(), then images are added by several threads at a time, and end_…()
/// makes of them what holds for the batch, in the images' order whoever added them. T: what images
/// are stored as.
class BatchStats {
 public:
  BatchStats() = default;
  /// `raw`: of one image.
  BatchStats(const Shape& raw, const ModelConfig& config, Activation activation);

  /// Batches are all processes' from now on: end_…() waits for theirs.
  void share(Communicator& communicator) { communicator_ = &communicator; }

  /// Elements of the periodic arrays (see NormKernels).
  [[nodiscard]] int64_t period() const { return period_; }

  // Forward, in training.
  void begin_forward(int64_t images);
  /// `sums`: memory of the thread.
  template <typename T>
  void add_moments(const T* raw, int64_t image, ScratchBuffer<float>& sums);
  /// The normalization by the batch's own statistics. Brings the moving ones up to date.
  std::shared_ptr<const DeferredBatchNorm> end_forward(const NormTensors& tensors);

  /// The normalization by the moving statistics.
  [[nodiscard]] std::shared_ptr<const DeferredBatchNorm> moving_norm(
      const NormTensors& tensors) const;

  /// Backward, of the batch of the last end_forward(): with dz the gradient of what is activated,
  /// Σ dz and Σ dz·(x − center) of one image, in periodic arrays.
  struct Sums {
    float* dz;
    float* dz_x;
  };
  void begin_backward();
  /// Zeros to add one image's sums to, in memory of the thread.
  [[nodiscard]] Sums zero_sums(ScratchBuffer<float>& sums) const;
  void add_sums(const Sums& sums, int64_t image);
  /// Of scale and shift, fp32, one for each channel.
  struct Gradients {
    at::Tensor gamma;
    at::Tensor beta;
  };
  Gradients end_backward(const at::Tensor& gamma);

  [[nodiscard]] const float* center() const { return center_.data(); }
  /// After end_backward(): dx = dx_scale·dz + dx_slope·x + dx_offset (see
  /// NormKernels::backward_apply).
  [[nodiscard]] const float* dx_scale() const { return dx_scale_.data(); }
  [[nodiscard]] const float* dx_slope() const { return dx_slope_.data(); }
  [[nodiscard]] const float* dx_offset() const { return dx_offset_.data(); }

 private:
  [[nodiscard]] std::vector<float> periodic(const std::vector<double>& values) const;
  [[nodiscard]] std::shared_ptr<const DeferredBatchNorm> make_norm(
      const std::vector<double>& scale, const std::vector<double>& shift) const;
  void share_moments(const float* around, std::vector<double>& means, std::vector<double>& squares);
  [[nodiscard]] int64_t pixels() const { return raw_.h * raw_.w; }

  Shape raw_;
  double momentum_ = 0;
  double epsilon_ = 0;
  Activation activation_ = Activation::kLinear;
  int64_t period_ = 0;
  int64_t images_ = 0;
  ScratchBuffer<float> moments_;          ///< By image: means, then Σ(x − mean)².
  ScratchBuffer<float> sums_;             ///< By image: Σ dz, then Σ dz·(x − center).
  Communicator* communicator_ = nullptr;  ///< Null where the batch is this process's.
  double values_ = 0;                     ///< Of a channel in the batch.
  std::vector<double> mean_, invstd_;
  std::vector<float> center_, dx_scale_, dx_slope_, dx_offset_;
};

}  // namespace flexae
