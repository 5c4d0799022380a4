#include "core/cpu/inference.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <vector>

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
