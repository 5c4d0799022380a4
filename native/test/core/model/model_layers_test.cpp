#include "core/model/model_layers.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <span>
#include <string>

#include "core/base/error.h"
#include "core/export/torchscript.h"
#include "core/files/atomic_file.h"
#include "core/layers/kinds.h"
#include "core/layers/layer_list.h"
#include "core/model/autoencoder.h"
#include "core/spec/model_config_json.h"
#include "test/core/temporary_folder.h"

namespace flexae {
namespace {

ModelConfig small_config() {
  ModelConfig config;
  config.height = 17;
  config.width = 20;
  config.filters = {4, 6};
  config.pooling = {Pooling::kAvg, Pooling::kMax};
  config.kernel_size = {5, 2};
  config.strides = {2, 1};
  config.dims = {9, 5};
  return config;
}

std::string manifest(const ModelConfig& config) {
  return Json(Json::Object{{"model", model_config_to_json(config)}}).dump();
}

std::string refusal(const std::string& path) {
  try {
    read_model_layers(path);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kModel);
    return error.what();
  }
  return "";
}

TEST(ModelLayers, HaveTheWeightsInTheirOrder) {
  const TemporaryFolder folder;
  const ModelConfig config = small_config();
  const Autoencoder model(config, /*seed=*/1, at::kCPU);
  export_autoencoder(model, folder.path("ae.pt"), manifest(config));
  export_encoder(model, folder.path("en.pt"), manifest(config));
  const auto state = model.state();
  for (const bool autoencoder : {true, false}) {
    const ModelLayers read = read_model_layers(folder.path(autoencoder ? "ae.pt" : "en.pt"));
    EXPECT_EQ(read.file.autoencoder, autoencoder);
    size_t next = 0;
    for (const LayerSpec& layer : read.layers) {
      EXPECT_TRUE(autoencoder || layer.part == Part::kEncoder) << layer.full_name();
      for (const WeightSpec& weight : layer.kind->weights(layer)) {
        const auto& stored = read.file.weights.at(next++);
        const std::string& name = stored.first;
        const at::Tensor& tensor = stored.second;
        EXPECT_EQ(name, layer.full_name() + "." + weight.name);
        EXPECT_EQ(tensor.sizes(), at::IntArrayRef(weight.sizes));
        const auto own = std::find_if(state.begin(), state.end(),
                                      [&](const auto& entry) { return entry.first == name; });
        ASSERT_NE(own, state.end());
        EXPECT_TRUE(at::equal(tensor, own->second)) << name;
      }
    }
    EXPECT_EQ(next, read.file.weights.size());
    EXPECT_EQ(read.file.weights.size() == state.size(), autoencoder);
  }
}

TEST(ModelLayers, RefuseWhatIsNotWhole) {
  const TemporaryFolder folder;
  const ModelConfig config = small_config();
  const Autoencoder model(config, /*seed=*/1, at::kCPU);
  ModelConfig other = config;
  other.dims = {9, 4};
  export_autoencoder(model, folder.path("other.pt"), manifest(other));
  EXPECT_NE(refusal(folder.path("other.pt")).find("its weight encoder.dense_1.weight is missing"),
            std::string::npos);
  other.dims = {9};
  other.mlp = false;
  export_autoencoder(model, folder.path("more.pt"), manifest(other));
  EXPECT_NE(refusal(folder.path("more.pt")).find("no layer has its weight decoder.dense_0"),
            std::string::npos);
  write_file_atomic(folder.path("none.pt"), {std::as_bytes(std::span("none", 4))});
  EXPECT_NE(refusal(folder.path("none.pt")).find("was not written by this program"),
            std::string::npos);
}

// Sizes follow from windows, so that a format that is told windows has the right ones.
TEST(LayerWindow, GivesTheSizesOfTheLayer) {
  for (int64_t height = 9; height < 30; ++height) {
    for (const int64_t stride : {1, 2, 3}) {
      ModelConfig config = small_config();
      config.height = height;
      config.strides = {stride, 2};
      config.pooling = {Pooling::kAvg, height < 12 * stride ? Pooling::kNone : Pooling::kMax};
      if (height < 4 * stride) continue;
      for (const LayerSpec& layer : make_layers(config)) {
        if (layer.in.flat || layer.out.flat) continue;
        const LayerWindow window = layer.kind->window(layer);
        const int64_t padded = layer.in.h + window.pads[0] + window.pads[2];
        int64_t rows = (padded - window.kernel[0]) / window.stride[0] + 1;
        if (layer.is(kinds::kUpsample)) {
          rows = layer.in.h * window.stride[0];
        } else if (layer.is(kinds::kConvTranspose)) {
          rows = (layer.in.h - 1) * window.stride[0] + window.kernel[0] - window.pads[0] -
                 window.pads[2] + window.output_padding[0];
        }
        EXPECT_EQ(rows - window.crop[0], layer.out.h) << layer.full_name() << " of " << height;
        EXPECT_GE(window.crop[0], 0);
      }
    }
  }
}

}  // namespace
}  // namespace flexae
