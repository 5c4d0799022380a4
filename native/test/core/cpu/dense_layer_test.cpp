#include "core/cpu/dense_layer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "core/cpu/dense.h"
#include "core/layers/kinds.h"

namespace flexae {
namespace {

LayerSpec dense(Activation activation, bool use_bias) {
  LayerSpec spec;
  spec.kind = &kinds::kDense;
  spec.name = "dense_0";
  spec.in = {150, 1, 1, true};
  spec.out = {37, 1, 1, true};
  spec.activation = activation;
  spec.use_bias = use_bias;
  return spec;
}

/// Forward and backward beside the layer on ATen, with the same weights.
void compare(Precision precision, Activation activation, bool use_bias, double tolerance) {
  at::manual_seed(6);
  const ModelConfig config;
  const LayerSpec spec = dense(activation, use_bias);
  const auto fast = make_dense_layer(spec, config, 1);
  const auto plain = make_layer(spec, config, 1);
  fast->set_precision(precision);
  plain->set_precision(precision);
  const at::Tensor x = at::randn({11, 150});
  const at::Tensor dy = at::randn({11, 37});
  PassContext training;
  training.training = true;
  const auto close = [tolerance](const at::Tensor& a, const at::Tensor& b) {
    return (a - b).abs().max().item<double>() <= tolerance * b.abs().max().item<double>();
  };
  EXPECT_TRUE(
      close(fast->forward(x, training).materialize(), plain->forward(x, training).materialize()));
  EXPECT_TRUE(close(fast->backward(dy, true), plain->backward(dy, true)));
  ASSERT_EQ(fast->parameters().size(), use_bias ? 2U : 1U);
  for (size_t i = 0; i < fast->parameters().size(); ++i) {
    const Parameter& got = fast->parameters()[i];
    const Parameter& expected = plain->parameters()[i];
    EXPECT_TRUE(got.value.equal(expected.value)) << got.name;
    EXPECT_TRUE(close(got.grad.whole(got.value), expected.grad.whole(expected.value))) << got.name;
  }
}

TEST(DenseLayer, ComputesWhatTheLayerOnAtenComputes) {
  for (const Activation activation : {Activation::kLinear, Activation::kElu, Activation::kGelu}) {
    for (const bool use_bias : {true, false}) {
      compare(Precision::kFp32, activation, use_bias, 1e-5);
      compare(Precision::kBf16, activation, use_bias, 2e-2);
    }
  }
}

TEST(DenseLayer, HandsItsGradientOutByRows) {
  if (!DenseProducts<float>::available()) GTEST_SKIP() << "this processor has no such products";
  const ModelConfig config;
  const auto layer = make_dense_layer(dense(Activation::kLinear, true), config, 1);
  PassContext training;
  training.training = true;
  layer->forward(at::randn({3, 150}), training);
  layer->backward(at::randn({3, 37}), false);
  EXPECT_NE(layer->parameters()[0].grad.rows, nullptr);
}

}  // namespace
}  // namespace flexae
