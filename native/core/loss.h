#pragma once

#include <ATen/core/Tensor.h>

namespace flexae {

/// Running sums over pixels, kept on the device so that adding a batch never waits for it.
class Metrics {
 public:
  explicit Metrics(at::Device device);

  /// Adds a batch.
  /// \param logits N×C×H×W, what the last sigmoid would take.
  /// \param target same shape and memory format, in [0, 1].
  /// \param penalties of regularizers, 0-dimensional; may be undefined. Weighted by N, as Keras
  ///   weights a batch's loss in an epoch's mean.
  /// \param grad if not null, receives d(mean BCE)/d(logits) = (sigmoid(logits) − target) / numel.
  void add(const at::Tensor& logits, const at::Tensor& target, const at::Tensor& penalties,
           at::Tensor* grad);

  struct Values {
    double loss;      ///< Mean binary cross-entropy plus mean penalties.
    double accuracy;  ///< Keras's binary accuracy: share of pixels whose rounded output equals the
                      ///< target.
    double mse;
    double psnr;  ///< dB for a peak of 1: −10·log₁₀(mse).
  };
  /// Waits for the device. All NaN while nothing was added.
  [[nodiscard]] Values values() const;

  void reset();

 private:
  at::Tensor sums_;  ///< fp64: Σ BCE, pixels right, Σ squared error, Σ N·penalties
  int64_t pixels_ = 0;
  int64_t images_ = 0;
};

}  // namespace flexae
