#include "core/layers/dense.h"

#include <ATen/ATen.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/layers/activation.h"
#include "core/layers/kinds.h"
#include "core/layers/make_parameter.h"
#include "core/layers/regularizer.h"
#include "core/layers/script.h"

namespace flexae {
namespace {

std::vector<WeightSpec> dense_weights(const LayerSpec& spec) {
  std::vector<WeightSpec> all{{"weight", {spec.out.c, spec.in.c}}};
  if (spec.use_bias) all.push_back({"bias", {spec.out.c}});
  return all;
}

std::string dense_to_script(const LayerSpec& spec) {
  const std::string self = "self." + spec.name;
  return script::assign("torch.linear(x, " + self + ".weight" +
                        (spec.use_bias ? ", " + self + ".bias" : "") + ")") +
         script::assign(activation_source(spec.activation));
}

}  // namespace

const LayerKind kinds::kDense{.keras_name = [](const LayerSpec&) -> std::string { return "Dense"; },
                              .make = [](const LayerSpec& spec, const ModelConfig& config,
                                         uint64_t bits) -> std::unique_ptr<Layer> {
                                return std::make_unique<Dense>(spec, config, bits);
                              },
                              .torchscript = dense_to_script,
                              .weights = dense_weights,
                              .macs =
                                  [](const LayerSpec& spec) {
                                    return static_cast<double>(spec.in.c) *
                                           static_cast<double>(spec.out.c);
                                  },
                              .kept = [](const LayerSpec& spec) { return spec.out.numel(); },
                              .has_gpu_kernels = [](const LayerSpec&) { return true; }};

Dense::Dense(const LayerSpec& spec, const ModelConfig& config, uint64_t bits)
    : Layer(spec), activity_(config.activity_regularizer) {
  Parameter weight = make_parameter(spec.full_name() + ".weight", WeightLayout::kDense,
                                    {spec.out.c, spec.in.c}, config.kernel_initializer, bits);
  weight.regularizer = config.kernel_regularizer;
  weight.constraint = config.kernel_constraint;
  parameters_.push_back(std::move(weight));
  if (spec.use_bias) {
    Parameter bias = make_parameter(spec.full_name() + ".bias", WeightLayout::kBias, {spec.out.c},
                                    config.bias_initializer, bits ^ kBiasSalt);
    bias.regularizer = config.bias_regularizer;
    bias.constraint = config.bias_constraint;
    parameters_.push_back(std::move(bias));
  }
}

Activations Dense::forward(const Activations& value, PassContext& context) {
  const at::Tensor x = value.materialize();
  at::Tensor z;
  if (x.is_cpu()) {
    z = product(x);
    if (spec_.use_bias) z += parameter("bias").value;
  } else {
    // The bias is added before the sum is rounded.
    const auto type = x.scalar_type();
    z = at::linear(x, weight().to(type),
                   spec_.use_bias ? std::optional<at::Tensor>(parameter("bias").value.to(type))
                                  : std::nullopt);
  }
  const at::Tensor y = activate(z, spec_.activation);
  if (activity_.active()) {
    // Keras divides by the batch so that the strength does not depend on it.
    batch_ = static_cast<double>(context.whole > 0 ? context.whole : y.size(0));
    const at::Tensor cost = penalty(y, activity_) / batch_;
    context.activity_penalty =
        context.activity_penalty.defined() ? context.activity_penalty + cost : cost;
  }
  if (context.training) {
    input_ = x;
    output_ = y;
    if (needs_input(spec_.activation)) before_activation_ = z;
  }
  return y;
}

at::Tensor Dense::backward(const at::Tensor& grad, bool input_grad) {
  at::Tensor dy = grad;
  if (activity_.active()) {
    dy = dy + penalty_grad(output_, activity_) / batch_;
  }
  const at::Tensor dz = activate_backward(dy, before_activation_, output_, spec_.activation);
  parameter("weight").grad = weight_gradient(dz, input_);
  if (spec_.use_bias) parameter("bias").grad.tensor = dz.sum(0, /*keepdim=*/false, at::kFloat);
  at::Tensor dx;
  if (input_grad) dx = input_gradient(dz);
  release();
  return dx;
}

void Dense::release() {
  input_.reset();
  output_.reset();
  before_activation_.reset();
}

at::Tensor Dense::product(const at::Tensor& x) {
  return at::mm(narrowed(x), narrowed(weight().to(x.scalar_type())).t()).to(x.scalar_type());
}

Gradient Dense::weight_gradient(const at::Tensor& dz, const at::Tensor& x) {
  return {at::mm(narrowed(dz).t(), narrowed(x)).to(at::kFloat)};
}

at::Tensor Dense::input_gradient(const at::Tensor& dz) {
  return at::mm(narrowed(dz), narrowed(weight().to(dz.scalar_type()))).to(dz.scalar_type());
}

at::Tensor Dense::narrowed(const at::Tensor& t) const {
  return precision_ == Precision::kBf16 ? t.to(at::kBFloat16) : t;
}

}  // namespace flexae
