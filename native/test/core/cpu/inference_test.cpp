#include "core/cpu/inference.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <vector>

#include "core/base/error.h"
#include "core/model/autoencoder.h"

namespace flexae {
namespace {

/// Convolutions alone: how ATen rounds a dense layer's activation depends on where a value lies.
ModelConfig convolutions(int64_t channels) {
  ModelConfig config;
  config.mlp = false;
  config.channels = channels;
  config.height = 40;
  config.width = 28;
  config.filters = {16, 20, 40};
  config.kernel_size = {5, 3, 3};
  config.strides = {2, 1, 2};
  config.pooling = {Pooling::kAvg, Pooling::kMax, Pooling::kNone};
  return config;
}

TEST(Inference, AnImagesEmbeddingIsTheSameAmongWhateverOthers) {
  const c10::NoGradGuard no_grad;
  at::manual_seed(5);
  Autoencoder model(convolutions(1), 5, at::kCPU);
  // Beyond what a thread takes at a time, and a group of images that is not full.
  const at::Tensor images = at::rand({101, 1, 40, 28});
  const at::Tensor all = model.encode(images);
  for (const int64_t count : {1, 2, 7, 33}) {
    std::vector<at::Tensor> parts;
    for (const at::Tensor& part : images.split(count)) parts.push_back(model.encode(part));
    EXPECT_TRUE(at::equal(at::cat(parts), all)) << count;
  }
  EXPECT_EQ(model.encode(images.narrow(0, 0, 0)).size(0), 0);
}

TEST(Inference, OfWeightsThatAreTakenOverIsThatOfWeightsThatAreCopied) {
  const c10::NoGradGuard no_grad;
  const ModelConfig config = convolutions(1);
  Autoencoder model(config, 9, at::kCPU);
  const at::Tensor images = at::rand({5, 1, 40, 28});
  NamedTensors weights;
  for (const auto& [name, value] : model.state()) weights.emplace_back(name, value.clone());
  for (const bool whole : {true, false}) {
    Autoencoder taken = Autoencoder::of(config, weights, at::kCPU, Precision::kFp32, whole);
    taken.freeze();
    EXPECT_TRUE(at::allclose(taken.encode(images), model.encode(images), 1e-5, 1e-6));
    // Once more: a frozen layer keeps its weights in another form.
    EXPECT_TRUE(at::equal(taken.encode(images), taken.encode(images)));
    EXPECT_EQ(taken.encode(images.narrow(0, 0, 0)).size(0), 0);
    if (!whole) continue;
    const at::Tensor embeddings = model.encode(images);
    EXPECT_TRUE(at::allclose(taken.decode(embeddings), model.decode(embeddings), 1e-4, 1e-5));
  }
  weights.pop_back();
  EXPECT_THROW(Autoencoder::of(config, weights, at::kCPU, Precision::kFp32, true), Error);
}

TEST(Inference, PlanesAndInterleavedPixelsAreTheSameImage) {
  const c10::NoGradGuard no_grad;
  at::manual_seed(6);
  for (const int64_t channels : {1, 3}) {
    Autoencoder model(convolutions(channels), 6, at::kCPU);
    Autoencoder layers(convolutions(channels), 6, at::kCPU, Precision::kFp32, /*stages=*/false);
    layers.load_state(model.state());
    const at::Tensor planes = at::rand({9, channels, 40, 28});
    const at::Tensor embeddings = model.encode(planes);
    EXPECT_TRUE(
        at::equal(model.encode(planes.contiguous(at::MemoryFormat::ChannelsLast)), embeddings))
        << channels;
    EXPECT_TRUE(at::allclose(embeddings, layers.encode(planes), 1e-4, 1e-5)) << channels;
  }
}

}  // namespace
}  // namespace flexae
