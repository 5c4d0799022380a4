#include "core/layers/kinds.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/layers/layer_list.h"
#include "core/layers/layers.h"
#include "core/layers/make_parameter.h"
#include "core/layers/script.h"
#include "core/model/layer_plan.h"

namespace flexae {
namespace {

/// A kind that the program does not have: each channel times a weight of its own.
class ChannelScale : public Layer {
 public:
  explicit ChannelScale(const LayerSpec& spec) : Layer(spec) {
    parameters_.push_back(make_parameter(spec.full_name() + ".weight", WeightLayout::kBias,
                                         spec.kind->weights(spec)[0].sizes, Initializer::kOnes, 0));
  }

  Activations forward(const Activations& value, PassContext& context) override {
    const at::Tensor x = value.materialize();
    if (context.training) input_ = x;
    return x * scale();
  }

  at::Tensor backward(const at::Tensor& grad, bool /*input_grad*/) override {
    parameters_[0].grad.tensor = (grad * input_).sum({0, 2, 3});
    return grad * scale();
  }

 private:
  [[nodiscard]] at::Tensor scale() const { return parameters_[0].value.view({1, -1, 1, 1}); }
  at::Tensor input_;
};

const LayerKind kChannelScale{
    .keras_name = [](const LayerSpec&) -> std::string { return "ChannelScale"; },
    .make = [](const LayerSpec& spec, const ModelConfig&, uint64_t) -> std::unique_ptr<Layer> {
      return std::make_unique<ChannelScale>(spec);
    },
    .torchscript =
        [](const LayerSpec& spec) {
          return script::assign("torch.mul(x, torch.view(self." + spec.name +
                                ".weight, [1, -1, 1, 1]))");
        },
    .weights =
        [](const LayerSpec& spec) {
          return std::vector<WeightSpec>{{"weight", {spec.out.c}}};
        },
    .macs = [](const LayerSpec& spec) { return static_cast<double>(spec.out.numel()); }};

LayerSpec of(const LayerKind& kind, const std::string& name, const Shape& in, const Shape& out) {
  LayerSpec spec;
  spec.kind = &kind;
  spec.name = name;
  spec.in = in;
  spec.out = out;
  return spec;
}

TEST(Kinds, ANewOneIsItsDescriptionAlone) {
  const c10::NoGradGuard no_grad;
  const Shape shape{3, 4, 5};
  const LayerSpec spec = of(kChannelScale, "scale", shape, shape);
  EXPECT_EQ(spec.parameters(), 3);
  EXPECT_EQ(spec.macs(), 60);
  EXPECT_EQ(spec.kind->kept(spec), 0);
  EXPECT_EQ(spec.kind->torchscript(spec),
            "    x = torch.mul(x, torch.view(self.scale.weight, [1, -1, 1, 1]))\n");

  const auto plan = plan_layers({spec}, at::kCPU);
  ASSERT_EQ(plan.size(), 1U);
  EXPECT_EQ(slow_layers({spec}, plan), std::vector<size_t>{0});
  const auto layer = plan[0].make({&spec, 1}, {}, Precision::kFp32, 1);
  ASSERT_EQ(layer->parameters().size(), 1U);
  EXPECT_EQ(layer->parameters()[0].name, "encoder.scale.weight");
  layer->parameters()[0].value.fill_(2);
  PassContext training{.training = true, .activity_penalty = {}};
  const at::Tensor x = at::rand({2, 3, 4, 5});
  EXPECT_TRUE(layer->forward(x, training).materialize().equal(2 * x));
  EXPECT_TRUE(layer->backward(x, true).equal(2 * x));
  EXPECT_TRUE(at::allclose(layer->parameters()[0].grad.tensor, (x * x).sum({0, 2, 3})));
}

TEST(Kinds, KeepTheWeightsThatTheyDescribe) {
  ModelConfig config;
  config.height = config.width = 48;
  config.channels = 3;
  config.dims = {20, 10};
  for (const bool use_bias : {true, false}) {
    config.use_bias = use_bias;
    for (const LayerSpec& spec : make_layers(config)) {
      const auto layer = make_layer(spec, config, 1);
      std::vector<WeightSpec> kept;
      for (const Parameter& p : layer->parameters())
        kept.push_back({p.name, p.value.sizes().vec()});
      for (const Buffer& b : layer->buffers()) {
        kept.push_back({b.name, b.value.sizes().vec(), /*trained=*/false});
      }
      const std::vector<WeightSpec> described = spec.kind->weights(spec);
      ASSERT_EQ(described.size(), kept.size()) << spec.full_name();
      for (size_t i = 0; i < kept.size(); ++i) {
        EXPECT_EQ(spec.full_name() + "." + described[i].name, kept[i].name);
        EXPECT_EQ(described[i].sizes, kept[i].sizes) << kept[i].name;
        EXPECT_EQ(described[i].trained, kept[i].trained) << kept[i].name;
      }
    }
  }
}

/// A convolution and what is behind it, linked.
struct Linked {
  Linked(const LayerKind& kind, const LayerKind& behind) {
    LayerSpec conv = of(kind, "conv", {3, 7, 6}, {4, 4, 3});
    if (conv.is(kinds::kConvTranspose)) std::swap(conv.in, conv.out);
    conv.kernel = 3;
    conv.stride = 2;
    layers.push_back(make_layer(conv, {}, 5));
    layers.push_back(make_layer(of(behind, "behind", conv.out, conv.out), {}, 6));
    link_layers(layers);
    bias().value = at::rand({conv.out.c}) + 1;
    x = at::rand({2, conv.in.c, conv.in.h, conv.in.w});
  }
  Parameter& bias() { return layers[0]->parameters()[1]; }
  at::Tensor forward(bool training) {
    PassContext context{.training = training, .activity_penalty = {}};
    return layers[0]->forward(x, context).materialize();
  }
  std::vector<std::unique_ptr<Layer>> layers;
  at::Tensor x;
};

TEST(Kinds, AConvolutionLearnsItsBiasUnlessANormalizationTakesItOutAgain) {
  const c10::NoGradGuard no_grad;
  for (const LayerKind* kind : {&kinds::kConv, &kinds::kConvTranspose}) {
    Linked alone(*kind, kChannelScale);
    const at::Tensor y = alone.forward(/*training=*/true);
    EXPECT_TRUE(at::allclose(y, alone.forward(/*training=*/false)));
    const at::Tensor grad = at::rand_like(y);
    alone.layers[0]->backward(grad, /*input_grad=*/true);
    EXPECT_TRUE(at::allclose(alone.bias().grad.tensor, grad.sum({0, 2, 3})));

    Linked normalized(*kind, kinds::kBatchNorm);
    const at::Tensor z = normalized.forward(/*training=*/true);
    EXPECT_TRUE(at::allclose(z + normalized.bias().value.view({1, -1, 1, 1}),
                             normalized.forward(/*training=*/false), 1e-5, 1e-6));
    normalized.layers[0]->backward(grad, /*input_grad=*/true);
    EXPECT_FALSE(normalized.bias().grad.tensor.defined());
  }
}

}  // namespace
}  // namespace flexae
