#include "core/layers/layers.h"

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "core/layers/activation.h"
#include "core/layers/batch_norm.h"
#include "core/layers/conv.h"
#include "core/layers/kinds.h"
#include "core/layers/layer_list.h"
#include "core/loss/bce.h"
#include "core/loss/metrics.h"
#include "core/optim/optimizer.h"
#include "core/spec/layer_spec.h"
#include "core/spec/model_config.h"
#include "core/tensor/scale_images.h"
#include "support.h"
#include "test/core/gradients.h"

namespace flexae {
namespace {

/// A network with every kind of layer, uneven paddings and crops, for one activation.
ModelConfig every_kind(Activation activation) {
  ModelConfig config;
  config.height = 30;
  config.width = 23;
  config.channels = 3;
  config.filters = {8, 12, 20};
  config.kernel_size = {5, 4, 3};
  config.strides = {2, 1, 3};
  config.pooling = {Pooling::kAvg, Pooling::kMax, Pooling::kNone};
  config.dims = {18, 9};
  config.drop_rate = 0;
  config.activation = activation;
  config.last_activation = activation;
  config.activity_regularizer = {.l1 = 0, .l2 = 1e-3};
  return config;
}

using Chain = std::vector<std::unique_ptr<Layer>>;

/// Layers on the device, and those that compute the same in fp64 on the CPU, with the same weights,
/// which are drawn where they would be 0 or 1.
struct Pair {
  Pair(Chain device_layers, Chain cpu_layers, at::Device device, at::ScalarType type)
      : got(std::move(device_layers)), expected(std::move(cpu_layers)) {
    std::map<std::string, at::Tensor> values;
    for (const auto& layer : expected) {
      for (size_t i = 0; i < layer->parameters().size(); ++i) {
        Parameter& p = layer->parameters()[i];
        if (p.value.dim() == 1) p.value = at::randn(p.value.sizes()) * 0.3 + (i == 0 ? 1.0 : 0.0);
        // Both compute with the numbers that the narrower type holds.
        p.value = p.value.to(type).to(at::kDouble);
        values[p.name] = p.value;
      }
      for (Buffer& b : layer->buffers()) {
        b.value = (at::rand(b.value.sizes()) + 0.5).to(at::kFloat).to(at::kDouble);
        values[b.name] = b.value;
      }
    }
    for (const auto& layer : got) {
      for (Parameter& p : layer->parameters()) {
        p.value = values.at(p.name).to(at::kFloat).to(device);
      }
      for (Buffer& b : layer->buffers()) b.value = values.at(b.name).to(at::kFloat).to(device);
      layer->set_precision(type == at::kBFloat16 ? Precision::kBf16 : Precision::kFp32);
    }
  }

  static at::Tensor forward(Chain& chain, at::Tensor x, PassContext& context) {
    for (const auto& layer : chain) x = layer->forward(x, context).materialize();
    return x;
  }
  static at::Tensor backward(Chain& chain, at::Tensor grad) {
    for (size_t i = chain.size(); i-- > 0;) grad = chain[i]->backward(grad, /*input_grad=*/true);
    return grad;
  }

  Chain got;
  Chain expected;
};

at::Tensor draw(const Shape& shape, int64_t images) {
  if (shape.flat) return at::randn({images, shape.c});
  return at::randn({images, shape.h, shape.w, shape.c}).permute({0, 3, 1, 2});
}

/// Forward in training and evaluation, and backward, against fp64 on the CPU. `fused` makes one
/// layer of several, if it is given.
void compare(const std::vector<LayerSpec>& specs, const ModelConfig& config, at::ScalarType type,
             double bound, const std::function<std::unique_ptr<Layer>()>& fused = nullptr) {
  SCOPED_TRACE(specs.back().full_name() + " " + c10::toString(type) + " " +
               std::to_string(static_cast<int>(specs.front().activation)));
  const at::Device device = test_device();
  const auto separate = [&] {
    Chain chain;
    for (const LayerSpec& spec : specs) chain.push_back(make_layer(spec, config, 11));
    return chain;
  };
  Chain joined;
  if (fused) joined.push_back(fused());
  Pair pair(fused ? std::move(joined) : separate(), separate(), device, type);
  const Shape& in = specs.front().in;
  const Shape& out = specs.back().out;
  const at::Tensor x = draw(in, 7).to(type);
  const at::Tensor narrow = x.to(device);
  const at::Tensor wide = x.to(at::kDouble);
  PassContext evaluating;
  PassContext reference;
  EXPECT_LT(distance(Pair::forward(pair.got, narrow, evaluating),
                     Pair::forward(pair.expected, wide, reference)),
            bound);

  PassContext training{.training = true, .activity_penalty = {}};
  PassContext training_reference{.training = true, .activity_penalty = {}};
  const at::Tensor y = Pair::forward(pair.got, narrow, training);
  const at::Tensor expected = Pair::forward(pair.expected, wide, training_reference);
  ASSERT_EQ(y.sizes(), expected.sizes());
  EXPECT_EQ(y.device(), device);
  EXPECT_LT(distance(y, expected), bound);
  ASSERT_EQ(training.activity_penalty.defined(), training_reference.activity_penalty.defined());
  if (training.activity_penalty.defined()) {
    EXPECT_LT(distance(training.activity_penalty, training_reference.activity_penalty), bound);
  }
  // Where an output is so near a kink that bf16 rounds it across, its slope is another.
  const Activation activation = specs.front().activation;
  const bool kink = activation == Activation::kRelu || activation == Activation::kLeakyRelu;
  const double slopes = type == at::kBFloat16 && kink ? 0.1 : bound;
  const at::Tensor grad = draw(out, 7).to(type);
  EXPECT_LT(distance(Pair::backward(pair.got, grad.to(device)),
                     Pair::backward(pair.expected, grad.to(at::kDouble))),
            slopes);
  std::map<std::string, at::Tensor> gradients;
  std::map<std::string, at::Tensor> buffers;
  for (const auto& layer : pair.expected) {
    for (const Parameter& q : layer->parameters()) {
      gradients[q.name] = q.grad.tensor.defined() ? q.grad.whole(q.value) : at::Tensor();
    }
    for (const Buffer& b : layer->buffers()) buffers[b.name] = b.value;
  }
  for (const auto& layer : pair.got) {
    for (const Parameter& p : layer->parameters()) {
      const at::Tensor& q = gradients.at(p.name);
      if (!q.defined()) {
        EXPECT_FALSE(p.grad.tensor.defined()) << p.name;
        continue;
      }
      EXPECT_LT(distance(p.grad.whole(p.value), q), slopes) << p.name;
    }
    for (const Buffer& b : layer->buffers()) {
      EXPECT_LT(distance(b.value, buffers.at(b.name)), bound) << b.name;
    }
  }
}

class DeviceLayers : public DeviceTest {};

TEST_F(DeviceLayers, EachKindComputesWhatFp64ComputesOnTheCpu) {
  // A CPU's pooling takes no bf16 with padding that does not count; nothing there computes in it.
  const bool narrow = !test_device().is_cpu();
  for (const Activation activation :
       {Activation::kElu, Activation::kRelu, Activation::kGelu, Activation::kTanh,
        Activation::kSilu, Activation::kSelu, Activation::kLeakyRelu, Activation::kSoftplus}) {
    const ModelConfig config = every_kind(activation);
    for (const LayerSpec& spec : make_layers(config)) {
      if (spec.is(kinds::kDropout)) continue;
      compare({spec}, config, at::kFloat, 2e-5);
      if (narrow) compare({spec}, config, at::kBFloat16, 2e-2);
    }
  }
}

TEST_F(DeviceLayers, WhatAGpuComputesTogetherIsWhatItComputesOneByOne) {
  const bool narrow = !test_device().is_cpu();
  ModelConfig config;
  config.height = 40;
  config.width = 56;
  config.channels = 1;
  config.filters = {32, 12};
  config.kernel_size = {5, 4};
  config.strides = {2, 1};
  config.drop_rate = 0;
  for (const Pooling pooling : {Pooling::kAvg, Pooling::kMax}) {
    config.pooling = {pooling, pooling};
    for (const Activation activation : {Activation::kElu, Activation::kRelu, Activation::kGelu}) {
      config.activation = activation;
      const std::vector<LayerSpec> specs = make_layers(config);
      int joined = 0;
      for (size_t i = 0; i + 1 < specs.size(); ++i) {
        const LayerSpec& a = specs[i];
        const LayerSpec& b = specs[i + 1];
        std::function<std::unique_ptr<Layer>()> fused;
        if (a.is(kinds::kBatchNorm) && b.is(kinds::kPool)) {
          fused = [&] { return make_pooled_norm(a, b, config); };
        } else if (a.is(kinds::kUpsample) && b.is(kinds::kConvTranspose) && a.out.h == 2 * a.in.h &&
                   a.out.w == 2 * a.in.w) {
          fused = [&] { return make_upsampled_conv(a, b, config, 11); };
        } else {
          continue;
        }
        ++joined;
        compare({a, b}, config, at::kFloat, 2e-5, fused);
        if (narrow) compare({a, b}, config, at::kBFloat16, 2e-2, fused);
      }
      EXPECT_GE(joined, 3);
    }
  }
}

TEST_F(DeviceLayers, DropoutKeepsItsShareAndItsMaskForTheWayBack) {
  LayerSpec spec;
  spec.kind = &kinds::kDropout;
  spec.in = spec.out = {.c = 4000, .h = 1, .w = 1, .flat = true};
  spec.drop_rate = 0.3;
  const auto layer = make_layer(spec, {}, 3);
  const auto options = at::TensorOptions().device(test_device()).dtype(at::kFloat);
  PassContext training{.training = true, .activity_penalty = {}};
  const at::Tensor x = at::ones({50, 4000}, options);
  layer->sample(50, options, 1, 1);
  const at::Tensor y = layer->forward(x, training).materialize().clone();
  const double kept = y.ne(0).to(at::kDouble).mean().item<double>();
  EXPECT_NEAR(kept, 0.7, 0.01);
  EXPECT_NEAR(y.max().item<double>(), 1 / 0.7, 1e-5);
  EXPECT_TRUE(layer->backward(x, true).equal(y));
  layer->sample(50, options, 1, 2);
  EXPECT_FALSE(layer->forward(x, training).materialize().equal(y)) << "another step, other masks";
  layer->sample(50, options, 1, 1);
  EXPECT_TRUE(layer->forward(x, training).materialize().equal(y))
      << "the same step, the same masks";
}

TEST_F(DeviceLayers, LossMetricsAndGradientAreFp64s) {
  const at::Device device = test_device();
  const at::Tensor z = (at::randn({9, 17, 21, 3}) * 3).permute({0, 3, 1, 2});
  const at::Tensor t = at::randint(256, {9, 17, 21, 3}, at::kByte);
  Metrics got(device);
  at::Tensor grad;
  got.accumulate(kBinaryCrossEntropy.sums(z.to(device), to_images(t.to(device)), &grad), z.size(0),
                 {});
  got.count(z.size(0), z.numel());
  const at::Tensor p = z.to(at::kDouble).sigmoid();
  const at::Tensor target = t.permute({0, 3, 1, 2}).to(at::kDouble) / 255;
  const double bce = at::binary_cross_entropy_with_logits(z.to(at::kDouble), target).item<double>();
  EXPECT_NEAR(got.values().loss, bce, 1e-6);
  EXPECT_NEAR(got.values().mse, (p - target).square().mean().item<double>(), 1e-6);
  EXPECT_NEAR(got.values().accuracy,
              p.gt(0.5).to(at::kDouble).eq(target).to(at::kDouble).mean().item<double>(), 1e-12);
  EXPECT_LT(distance(grad, (p - target) / static_cast<double>(z.numel())), 1e-5);
}

TEST_F(DeviceLayers, OptimizersTakeTheStepsOfTheCpu) {
  for (const OptimizerKind kind :
       {OptimizerKind::kSgd, OptimizerKind::kRmsprop, OptimizerKind::kAdagrad,
        OptimizerKind::kAdadelta, OptimizerKind::kAdam, OptimizerKind::kAdamw,
        OptimizerKind::kAdamax, OptimizerKind::kNadam}) {
    SCOPED_TRACE(static_cast<int>(kind));
    const at::Tensor start = at::randn({40, 30});
    const at::Tensor kernel = at::randn({8, 3, 5, 5}).contiguous(at::MemoryFormat::ChannelsLast);
    // Copies: a CPU's tensor would be the same memory.
    const auto copy = [](const at::Tensor& t, at::Device device) {
      return t.to(device, t.scalar_type(), /*non_blocking=*/false, /*copy=*/true);
    };
    std::vector<at::Tensor> here{copy(start, at::kCPU), copy(kernel, at::kCPU)};
    std::vector<at::Tensor> there{copy(start, test_device()), copy(kernel, test_device())};
    Optimizer expected(kind, 0.01, here);
    Optimizer got(kind, 0.01, there);
    for (int step = 0; step < 20; ++step) {
      const std::vector<at::Tensor> g{
          at::randn({40, 30}), at::randn({8, 3, 5, 5}).contiguous(at::MemoryFormat::ChannelsLast)};
      test::step(expected, test::gradients(g));
      test::step(got, test::gradients({g[0].to(test_device()), g[1].to(test_device())}));
    }
    EXPECT_LT(distance(there[0], here[0]), 1e-5);
    EXPECT_LT(distance(there[1], here[1]), 1e-5);
  }
}

}  // namespace
}  // namespace flexae
