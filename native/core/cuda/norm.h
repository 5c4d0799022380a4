#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "core/spec/model_config.h"

namespace flexae::cuda {

/// How the kernels of norm.cu.h are launched; what the tests launch, too.
struct NormLaunch {
  static constexpr unsigned kBlock = 256;
  int vector;
  /// Blocks for a pass over `pixels` of `channels`.
  [[nodiscard]] static std::array<unsigned, 3> grid(int64_t pixels, int64_t channels, int vector);
  /// Channels a thread takes: 16 bytes of them, or one.
  [[nodiscard]] static int vector_of(int64_t channels, bool bf16) {
    const int wide = bf16 ? 8 : 4;
    return channels % wide == 0 ? wide : 1;
  }
};

/// Batch normalization, activation and 2×2 pooling of tensors on a GPU, each a pass over memory or
/// two, by kernels of our own (kernels/norm.cu.h). Tensors are N×C×H×W in channels_last or N×C,
/// bf16 or fp32; gamma, beta and statistics fp32.
class Norm {
 public:
  Norm(Activation activation, Pooling pooling) : activation_(activation), pooling_(pooling) {}

  /// Whether the kernels take tensors such as x, here and now.
  static bool takes(const at::Tensor& x);
  /// x as forward() and backward() read it: x itself where it lies so already. It may be the upper
  /// left part of larger images in channels_last.
  static at::Tensor prepared(const at::Tensor& x);

  /// What forward() finds out about a batch, for backward().
  struct Batch {
    at::Tensor stats;  ///< fp32 4×C: mean, 1/σ, scale, shift
  };

  /// A training pass: statistics of the batch, which move the running ones by `fresh`. `bias`: of
  /// the convolution in front, which the running mean includes; may be undefined.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& gamma, const at::Tensor& beta,
                     const at::Tensor& bias, double epsilon, double fresh, at::Tensor& mean,
                     at::Tensor& variance, Batch& batch) const;
  /// The same with statistics that are given, as scale and shift: fp32 4×C of which the first two
  /// rows are not read.
  [[nodiscard]] at::Tensor apply(const at::Tensor& x, const at::Tensor& stats) const;

  /// Of what went in, of scale and of shift.
  struct Gradients {
    at::Tensor x;  ///< Of the larger images if x is a part of such, zero outside.
    at::Tensor gamma, beta;
  };
  [[nodiscard]] Gradients backward(const at::Tensor& x, const at::Tensor& grad,
                                   const Batch& batch) const;

 private:
  [[nodiscard]] std::vector<std::string> macros(const at::Tensor& x, int vector) const;

  Activation activation_;
  Pooling pooling_;
};

}  // namespace flexae::cuda
