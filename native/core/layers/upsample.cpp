#include <ATen/ATen.h>

#include <memory>

#include "core/layers/crop.h"
#include "core/layers/kinds.h"
#include "core/layers/layers.h"
#include "core/layers/script.h"

namespace flexae {
namespace {

class Upsample : public Layer {
 public:
  using Layer::Layer;

  Activations forward(const Activations& value, PassContext& /*context*/) override {
    const at::Tensor x = value.materialize();
    return crop(at::upsample_nearest2d(x, {spec_.in.h * 2, spec_.in.w * 2}), spec_.out.h,
                spec_.out.w);
  }

  at::Tensor backward(const at::Tensor& grad, bool /*input_grad*/) override {
    const int64_t h = spec_.in.h * 2;
    const int64_t w = spec_.in.w * 2;
    return at::upsample_nearest2d_backward(uncrop(grad, h, w), {h, w},
                                           {grad.size(0), spec_.in.c, spec_.in.h, spec_.in.w});
  }
};

std::string upsample_to_script(const LayerSpec& spec) {
  const int64_t h = spec.in.h * 2;
  const int64_t w = spec.in.w * 2;
  return script::assign("torch.upsample_nearest2d(x, " + script::list({h, w}) + ")") +
         script::crop(spec, h, w);
}

}  // namespace

const LayerKind kinds::kUpsample{
    .keras_name = [](const LayerSpec&) -> std::string { return "UpSampling2D"; },
    .make = [](const LayerSpec& spec, const ModelConfig&, uint64_t) -> std::unique_ptr<Layer> {
      return std::make_unique<Upsample>(spec);
    },
    .torchscript = upsample_to_script,
    .window =
        [](const LayerSpec& spec) {
          return LayerWindow{.stride = {2, 2},
                             .crop = {2 * spec.in.h - spec.out.h, 2 * spec.in.w - spec.out.w}};
        },
    .kept = [](const LayerSpec& spec) { return spec.out.numel(); }};

}  // namespace flexae
