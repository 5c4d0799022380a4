#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "core/layers/layers.h"

namespace flexae {

/// A dense layer with its activation: y = act(x · weightᵀ + bias), of vectors N×I. Its products are
/// ATen's, and whoever has better ones derives from it.
class Dense : public Layer {
 public:
  /// `bits`: as in make_layer().
  Dense(const LayerSpec& spec, const ModelConfig& config, uint64_t bits);

  Activations forward(const Activations& value, PassContext& context) override;
  at::Tensor backward(const at::Tensor& grad, bool input_grad) override;
  void release() override;

 protected:
  /// x · weightᵀ: N×O, in x's dtype.
  virtual at::Tensor product(const at::Tensor& x);
  /// dzᵀ · x in fp32: O×I, of N×O and N×I.
  virtual Gradient weight_gradient(const at::Tensor& dz, const at::Tensor& x);
  /// dz · weight: N×I, in dz's dtype.
  virtual at::Tensor input_gradient(const at::Tensor& dz);

  [[nodiscard]] const at::Tensor& weight() const { return parameter("weight").value; }

 private:
  [[nodiscard]] at::Tensor narrowed(const at::Tensor& t) const;

  Regularizer activity_;
  double batch_ = 1;  ///< Images of the batch, in all processes.
  at::Tensor input_, output_, before_activation_;
};

}  // namespace flexae
