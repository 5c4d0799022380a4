#include <ATen/ATen.h>

#include <memory>

#include "core/base/random.h"
#include "core/layers/initializer.h"
#include "core/layers/kinds.h"
#include "core/layers/layers.h"

namespace flexae {
namespace {

class Dropout : public Layer {
 public:
  Dropout(const LayerSpec& spec, uint64_t index) : Layer(spec), index_(index) {}

  void sample(const Share& share, const at::TensorOptions& options, uint64_t seed,
              uint64_t step) override {
    const int64_t images = share.images;
    if (!masks_.defined() || masks_.size(0) < images) {
      masks_ = at::empty({images, spec_.in.numel()}, options);
    }
    const double keep = 1.0 - spec_.drop_rate;
    const uint64_t bits = random_bits(seed, RandomPurpose::kDropout, step, index_);
    const at::Tensor masks = masks_.narrow(0, 0, images);
    if (masks.is_cpu() && masks.scalar_type() == at::kFloat) {
      sample_dropout(masks, keep, bits, share.first * spec_.in.numel());
    } else if (!share.is_all()) {
      // Such a generator cannot begin in the middle.
      at::Tensor whole = at::empty({share.whole, spec_.in.numel()}, options);
      whole.bernoulli_(keep, make_generator(masks.device(), bits)).div_(keep);
      masks.copy_(whole.narrow(0, share.first, images));
    } else {
      masks.bernoulli_(keep, make_generator(masks.device(), bits)).div_(keep);
    }
  }

  Activations forward(const Activations& value, PassContext& context) override {
    const at::Tensor x = value.materialize();
    if (!context.training) return x;
    return x * masks_.narrow(0, 0, x.size(0));
  }

  at::Tensor backward(const at::Tensor& grad, bool /*input_grad*/) override {
    return grad * masks_.narrow(0, 0, grad.size(0));
  }

 private:
  uint64_t index_;
  at::Tensor masks_;  ///< Of as many images as there have been at once.
};

}  // namespace

const LayerKind kinds::kDropout{
    .keras_name = [](const LayerSpec&) -> std::string { return "Dropout"; },
    .make = [](const LayerSpec& spec, const ModelConfig&, uint64_t bits) -> std::unique_ptr<Layer> {
      return std::make_unique<Dropout>(spec, bits);
    },
    // Exported models are for evaluation, where it does nothing.
    .torchscript = [](const LayerSpec&) { return std::string(); },
    .kept = [](const LayerSpec& spec) { return spec.out.numel(); }};

}  // namespace flexae
