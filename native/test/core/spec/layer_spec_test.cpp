#include "core/spec/layer_spec.h"

#include <gtest/gtest.h>

#include <string>

#include "core/base/error.h"
#include "core/layers/layer_list.h"
#include "core/model/summary.h"

namespace flexae {
namespace {

std::string refusal(const ModelConfig& config) {
  try {
    make_layers(config);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kConfig);
    return error.what();
  }
  return "";
}

// The counts that Keras gives for the same networks.
TEST(Summary, CountsParametersAsKerasDoes) {
  ModelConfig config;
  Summary summary = summarize(config, 32, OptimizerKind::kAdadelta);
  EXPECT_EQ(summary.total, 10042901);
  EXPECT_EQ(summary.non_trainable, 1410);
  EXPECT_EQ(summary.encoder_parameters, 4520040);
  config.dims = {500, 100};
  summary = summarize(config, 32, OptimizerKind::kAdadelta);
  EXPECT_EQ(summary.total, 5048001);
  EXPECT_EQ(summary.encoder_parameters, 2523640);
  config.mlp = false;
  summary = summarize(config, 32, OptimizerKind::kAdadelta);
  EXPECT_EQ(summary.total, 844805);
  EXPECT_EQ(summary.encoder_parameters, 423040);
  EXPECT_EQ(summary.embedding, std::vector<int64_t>{4096});
}

TEST(Layers, PadAsTensorFlowDoes) {
  EXPECT_EQ(same_padding(256, 5, 2), (std::array<int64_t, 2>{1, 2}));
  EXPECT_EQ(same_padding(7, 5, 2), (std::array<int64_t, 2>{2, 2}));
  EXPECT_EQ(same_padding(8, 4, 1), (std::array<int64_t, 2>{1, 2}));
  EXPECT_EQ(same_padding(8, 1, 2), (std::array<int64_t, 2>{0, 0}));
  EXPECT_EQ(same_transpose_crop(5, 2), 1);
  EXPECT_EQ(same_transpose_crop(2, 3), 0);
}

TEST(Layers, ComeBackAtTheImagesOwnSizeWhateverItIs) {
  for (int64_t height = 8; height < 40; ++height) {
    for (const int64_t stride : {1, 2, 3}) {
      ModelConfig config;
      config.height = height;
      config.width = 51 - height;
      config.filters = {4, 8};
      config.pooling = {Pooling::kAvg, Pooling::kMax};
      config.kernel_size = {5, 2};
      config.strides = {stride, 1};
      const auto layers = make_layers(config);
      EXPECT_EQ(layers.back().out.h, height);
      EXPECT_EQ(layers.back().out.w, 51 - height);
      for (size_t i = 1; i < layers.size(); ++i) {
        EXPECT_EQ(layers[i].in.sizes(), layers[i - 1].out.sizes());
      }
    }
  }
}

TEST(Layers, SayWhichLayerAnImageIsTooSmallFor) {
  ModelConfig config;
  config.height = config.width = 8;
  EXPECT_NE(refusal(config).find("too small at encoder layer 1 (pool_1)"), std::string::npos);
  config.height = config.width = 28;
  EXPECT_EQ(refusal(config), "");
  config.strides = {2, 9, 1, 1};
  EXPECT_NE(refusal(config).find("too small at encoder layer 1 (conv_1)"), std::string::npos);
}

TEST(Layers, SayWhichLayerNoMachineCouldHold) {
  // Every single number is allowed; what follows from them is not.
  ModelConfig config;
  config.height = config.width = 1 << 16;
  config.filters = {1 << 20, 1 << 20};
  config.pooling = {Pooling::kNone, Pooling::kNone};
  config.kernel_size = {255, 255};
  config.strides = {1, 1};
  config.dims = {1 << 20};
  EXPECT_NE(refusal(config).find("Layer encoder.conv_0 would be larger"), std::string::npos);
  config.filters = {16, 16};
  config.kernel_size = {3, 3};
  EXPECT_NE(refusal(config).find("Layer encoder.dense_0 would be larger"), std::string::npos);
  config.mlp = false;
  EXPECT_EQ(refusal(config), "");
}

TEST(Summary, CountsLargeNetworksWithoutOverflow) {
  ModelConfig config;
  config.height = config.width = 1 << 16;
  config.filters = {255, 255};
  config.pooling = {Pooling::kNone, Pooling::kNone};
  config.kernel_size = {3, 3};
  config.strides = {1, 1};
  config.mlp = false;
  const Summary summary = summarize(config, (int64_t{1} << 31) - 1, OptimizerKind::kAdam);
  EXPECT_EQ(summary.training_bytes, int64_t{1} << 62);
  // 255 maps of 2³² pixels, each of 255·9 products, and the two layers at the ends.
  EXPECT_EQ(summary.macs, 2 * (int64_t{255} * 255 + 255) * 9 << 32);
}

TEST(Config, RefusesWhatMakesNoNetwork) {
  const auto refused = [](auto change) {
    ModelConfig config;
    change(config);
    return !refusal(config).empty();
  };
  EXPECT_TRUE(refused([](ModelConfig& c) { c.height = 7; }));
  EXPECT_TRUE(refused([](ModelConfig& c) { c.channels = 2; }));
  EXPECT_TRUE(refused([](ModelConfig& c) { c.filters.clear(); }));
  EXPECT_TRUE(refused([](ModelConfig& c) { c.filters[1] = 0; }));
  EXPECT_TRUE(refused([](ModelConfig& c) { c.strides.pop_back(); }));
  EXPECT_TRUE(refused([](ModelConfig& c) { c.dims.clear(); }));
  EXPECT_TRUE(refused([](ModelConfig& c) { c.drop_rate = 1; }));
  EXPECT_TRUE(refused([](ModelConfig& c) { c.kernel_regularizer.l1 = -1; }));
  EXPECT_THROW(activation_from_name("mish"), Error);
}

}  // namespace
}  // namespace flexae
