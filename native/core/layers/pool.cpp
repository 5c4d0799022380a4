#include <ATen/ATen.h>

#include <memory>

#include "core/layers/kinds.h"
#include "core/layers/layers.h"
#include "core/layers/script.h"

namespace flexae {
namespace {

class Pool : public Layer {
 public:
  using Layer::Layer;

  Activations forward(const Activations& value, PassContext& context) override {
    const at::Tensor x = value.materialize();
    // Padding "same" of a 2×2 window pads at most one row behind: ceil_mode without padding, with
    // means over the pixels that exist.
    if (spec_.pooling == Pooling::kAvg) {
      if (context.training) input_ = x;
      return at::avg_pool2d(x, {2, 2}, {2, 2}, {0, 0}, /*ceil_mode=*/true,
                            /*count_include_pad=*/false);
    }
    auto [y, indices] = at::max_pool2d_with_indices(x, {2, 2}, {2, 2}, {0, 0}, {1, 1},
                                                    /*ceil_mode=*/true);
    if (context.training) {
      input_ = x;
      indices_ = indices;
    }
    return y;
  }

  at::Tensor backward(const at::Tensor& grad, bool /*input_grad*/) override {
    at::Tensor dx;
    if (spec_.pooling == Pooling::kAvg) {
      dx = at::avg_pool2d_backward(grad, input_, {2, 2}, {2, 2}, {0, 0}, true, false, std::nullopt);
    } else {
      dx = at::max_pool2d_with_indices_backward(grad, input_, {2, 2}, {2, 2}, {0, 0}, {1, 1}, true,
                                                indices_);
    }
    release();
    return dx;
  }

  void release() override {
    input_.reset();
    indices_.reset();
  }

 private:
  at::Tensor input_, indices_;
};

bool takes_means(const LayerSpec& spec) {
  return spec.pooling == Pooling::kAvg;
}

std::string pool_to_script(const LayerSpec& spec) {
  return script::assign(takes_means(spec)
                            ? "torch.avg_pool2d(x, [2, 2], [2, 2], [0, 0], True, False)"
                            : "torch.max_pool2d(x, [2, 2], [2, 2], [0, 0], [1, 1], True)");
}

}  // namespace

const LayerKind kinds::kPool{
    .keras_name = [](const LayerSpec& spec) -> std::string {
      return takes_means(spec) ? "AveragePooling2D" : "MaxPooling2D";
    },
    .make = [](const LayerSpec& spec, const ModelConfig&, uint64_t) -> std::unique_ptr<Layer> {
      return std::make_unique<Pool>(spec);
    },
    .torchscript = pool_to_script,
    .window =
        [](const LayerSpec& spec) {
          return LayerWindow{
              .kernel = {2, 2},
              .stride = {2, 2},
              .pads = {0, 0, 2 * spec.out.h - spec.in.h, 2 * spec.out.w - spec.in.w}};
        },
    .kept = [](const LayerSpec& spec) { return spec.out.numel(); }};

}  // namespace flexae
