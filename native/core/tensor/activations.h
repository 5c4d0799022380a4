#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <utility>
#include <vector>

#include "core/cpu/kernels/kernels.h"
#include "core/spec/model_config.h"

namespace flexae {

/// A batch normalization with its activation that has not been computed yet: y = act(x·scale +
/// shift), by channel. The arrays repeat the channels up to `period` elements (see Kernels).
struct DeferredBatchNorm {
  std::vector<float> scale;
  std::vector<float> shift;
  Activation activation = Activation::kLinear;
  [[nodiscard]] int64_t period() const { return static_cast<int64_t>(scale.size()); }
  /// y = act(x·scale + shift) of `count` values from the first channel on. y may be x.
  void apply(const float* x, float* y, int64_t count) const;
  void apply(const Bf16* x, Bf16* y, int64_t count) const;
  void apply(const Bf16* x, float* y, int64_t count) const;
};

/// What flows between layers: a tensor, or one whose normalization, or scaling of bytes, is left to
/// whoever reads it. A convolution reads its input once anyway, and so does the loss, so the
/// finished tensor never needs to be in memory.
class Activations {
 public:
  Activations() = default;
  /// Images N×C×H×W in channels_last, vectors N×C, or images as bytes, N×H×W×C contiguous, which
  /// stand for values in [0, 1].
  Activations(at::Tensor tensor)
      : tensor_(std::move(tensor)) {}  // NOLINT(google-explicit-constructor)
  /// `raw`: fp32 or bf16, N×H×W×C contiguous on the CPU.
  Activations(at::Tensor raw, std::shared_ptr<const DeferredBatchNorm> norm)
      : tensor_(std::move(raw)), norm_(std::move(norm)) {}

  [[nodiscard]] const DeferredBatchNorm* norm() const { return norm_.get(); }
  [[nodiscard]] bool is_bytes() const { return tensor_.scalar_type() == at::kByte; }
  /// The tensor as it is stored: raw N×H×W×C if norm() is set, or bytes N×H×W×C.
  [[nodiscard]] const at::Tensor& stored() const { return tensor_; }
  /// The finished tensor, N×C×H×W (channels_last) or N×C; fp32 on the CPU.
  [[nodiscard]] at::Tensor materialize() const;

 private:
  at::Tensor tensor_;
  std::shared_ptr<const DeferredBatchNorm> norm_;
};

}  // namespace flexae
