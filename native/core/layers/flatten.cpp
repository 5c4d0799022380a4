#include <ATen/ATen.h>

#include <memory>

#include "core/layers/kinds.h"
#include "core/layers/layers.h"
#include "core/layers/script.h"

namespace flexae {
namespace {

/// N×C×H×W in channels_last ↔ N×(H·W·C): no bytes move.
class Flatten : public Layer {
 public:
  using Layer::Layer;

  Activations forward(const Activations& value, PassContext& /*context*/) override {
    const at::Tensor x = value.materialize();
    return spec_.out.flat ? flatten(x) : unflatten(x, spec_.out);
  }

  at::Tensor backward(const at::Tensor& grad, bool /*input_grad*/) override {
    return spec_.out.flat ? unflatten(grad, spec_.in) : flatten(grad);
  }

 private:
  static at::Tensor flatten(const at::Tensor& x) {
    // Not −1, which says nothing of a batch without images.
    return x.permute({0, 2, 3, 1}).reshape({x.size(0), x.size(1) * x.size(2) * x.size(3)});
  }
  static at::Tensor unflatten(const at::Tensor& x, const Shape& shape) {
    return x.reshape({x.size(0), shape.h, shape.w, shape.c}).permute({0, 3, 1, 2});
  }
};

std::unique_ptr<Layer> make_flat(const LayerSpec& spec, const ModelConfig&, uint64_t) {
  return std::make_unique<Flatten>(spec);
}

}  // namespace

const LayerKind kinds::kFlatten{
    .keras_name = [](const LayerSpec&) -> std::string { return "Flatten"; },
    .make = make_flat,
    .torchscript =
        [](const LayerSpec&) {
          return script::assign("torch.flatten(torch.permute(x, [0, 2, 3, 1]), 1)");
        }};

const LayerKind kinds::kReshape{
    .keras_name = [](const LayerSpec&) -> std::string { return "Reshape"; },
    .make = make_flat,
    .torchscript =
        [](const LayerSpec& spec) {
          return script::assign("torch.permute(torch.reshape(x, " +
                                script::list({-1, spec.out.h, spec.out.w, spec.out.c}) +
                                "), [0, 3, 1, 2])");
        }};

}  // namespace flexae
