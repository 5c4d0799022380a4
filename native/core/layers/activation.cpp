#include "core/layers/activation.h"

#include <ATen/ATen.h>

namespace flexae {

at::Tensor activate(const at::Tensor& x, Activation activation) {
  switch (activation) {
    case Activation::kLinear:
      return x;
    case Activation::kRelu:
      return at::relu(x);
    case Activation::kElu:
      return at::elu(x);
    case Activation::kSelu:
      return at::selu(x);
    case Activation::kGelu:
      return at::gelu(x);
    case Activation::kTanh:
      return at::tanh(x);
    case Activation::kSigmoid:
      return at::sigmoid(x);
    case Activation::kHardSigmoid:
      return at::hardsigmoid(x);
    case Activation::kSoftplus:
      // PyTorch's softplus turns linear above a threshold, Keras's does not; 20 is where fp32
      // rounds the difference away.
      return at::softplus(x, 1, 20);
    case Activation::kSoftsign:
      return x / (x.abs() + 1);
    case Activation::kExponential:
      return at::exp(x);
    case Activation::kSilu:
      return at::silu(x);
    case Activation::kLeakyRelu:
      return at::leaky_relu(x, kLeakySlope);
  }
  return x;
}

at::Tensor activate_backward(const at::Tensor& grad, const at::Tensor& x, const at::Tensor& y,
                             Activation activation) {
  switch (activation) {
    case Activation::kLinear:
      return grad;
    case Activation::kRelu:
      return at::threshold_backward(grad, y, 0);
    case Activation::kElu:
      return at::elu_backward(grad, 1, 1, 1, /*is_result=*/true, y);
    case Activation::kSelu:
      return at::elu_backward(grad, kSeluAlpha, kSeluScale, 1, /*is_result=*/true, y);
    case Activation::kGelu:
      return at::gelu_backward(grad, x);
    case Activation::kTanh:
      return at::tanh_backward(grad, y);
    case Activation::kSigmoid:
      return at::sigmoid_backward(grad, y);
    case Activation::kHardSigmoid:
      return grad * at::logical_and(y > 0, y < 1).to(grad.scalar_type()).mul_(1.0 / 6.0);
    case Activation::kSoftplus:
      // d/dx log(1 + eˣ) = 1 − e^−y
      return grad * at::expm1(-y).neg_();
    case Activation::kSoftsign:
      // 1 − |y| = 1 / (1 + |x|)
      return grad * (1 - y.abs()).square_();
    case Activation::kExponential:
      return grad * y;
    case Activation::kSilu:
      return at::silu_backward(grad, x);
    case Activation::kLeakyRelu:
      return at::leaky_relu_backward(grad, y, kLeakySlope, /*self_is_result=*/true);
  }
  return grad;
}

std::string activation_source(Activation activation) {
  switch (activation) {
    case Activation::kLinear:
      return "x";
    case Activation::kRelu:
      return "torch.relu(x)";
    case Activation::kElu:
      return "torch.elu(x)";
    case Activation::kSelu:
      return "torch.selu(x)";
    case Activation::kGelu:
      return "torch.gelu(x)";
    case Activation::kTanh:
      return "torch.tanh(x)";
    case Activation::kSigmoid:
      return "torch.sigmoid(x)";
    case Activation::kHardSigmoid:
      return "torch.hardsigmoid(x)";
    case Activation::kSoftplus:
      return "torch.softplus(x, 1, 20)";
    case Activation::kSoftsign:
      return "x / (torch.abs(x) + 1)";
    case Activation::kExponential:
      return "torch.exp(x)";
    case Activation::kSilu:
      return "torch.silu(x)";
    case Activation::kLeakyRelu:
      return "torch.leaky_relu(x, 0.2)";
  }
  return "x";
}

}  // namespace flexae
