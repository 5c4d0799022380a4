#include "core/model/layer_plan.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/layers/layer_list.h"
#include "core/model/autoencoder.h"
#include "core/model/summary.h"

namespace flexae {
namespace {

using Names = std::vector<std::string>;

const at::Device kGpu(at::kCUDA, 0);

Names slow_in(const std::vector<LayerSpec>& specs, at::Device device) {
  Names names;
  for (const size_t i : slow_layers(specs, plan_layers(specs, device))) {
    names.push_back(specs[i].full_name());
  }
  return names;
}

/// The innermost upsampling gives back the 7×7 that were pooled to 4×4, and so cuts a row off.
ModelConfig uneven() {
  ModelConfig config;
  config.height = config.width = 28;
  config.filters = {8, 16};
  config.kernel_size = {3, 3};
  config.strides = {2, 2};
  config.pooling = {Pooling::kNone, Pooling::kMax};
  config.dims = {6, 4};
  return config;
}

TEST(LayerPlan, TakesEachLayerOnce) {
  for (const at::Device device : {at::Device(at::kCPU), kGpu}) {
    for (const ModelConfig& config : {ModelConfig{}, uneven()}) {
      const std::vector<LayerSpec> specs = make_layers(config);
      size_t next = 0;
      for (const PlannedLayer& planned : plan_layers(specs, device)) {
        EXPECT_EQ(planned.first, next);
        next += planned.count;
        EXPECT_GE(planned.seeded, planned.first);
        EXPECT_LT(planned.seeded, next);
      }
      EXPECT_EQ(next, specs.size());
    }
  }
}

TEST(LayerPlan, NamesWhatHasNoFastPath) {
  for (const at::Device device : {at::Device(at::kCPU), kGpu}) {
    EXPECT_EQ(slow_in(make_layers(ModelConfig{}), device), Names{});
    EXPECT_EQ(slow_in(make_layers(uneven()), device), Names{"decoder.upsample_1"});
  }
}

TEST(LayerPlan, NamesAnUpsamplingInFrontOfAnother) {
  ModelConfig config = uneven();
  config.height = config.width = 64;
  config.pooling = {Pooling::kMax, Pooling::kMax};
  for (const at::Device device : {at::Device(at::kCPU), kGpu}) {
    EXPECT_EQ(slow_in(make_layers(config), device), Names{"decoder.upsample_1"});
  }
}

TEST(LayerPlan, NamesAConvolutionWithoutNormalizationOnACpu) {
  std::vector<LayerSpec> specs = make_layers(uneven());
  std::erase_if(specs, [](const LayerSpec& spec) { return spec.name == "conv_0_bn"; });
  EXPECT_EQ(slow_in(specs, at::kCPU), (Names{"encoder.conv_0", "decoder.upsample_1"}));
  EXPECT_EQ(slow_in(specs, kGpu), Names{"decoder.upsample_1"});
}

TEST(LayerPlan, NamesConvolutionsOfFewChannelsThatNoKernelTakesOnAGpu) {
  ModelConfig config = uneven();
  config.height = config.width = 32;
  EXPECT_EQ(slow_in(make_layers(config), kGpu), Names{});
  config.filters = {10, 16};
  EXPECT_EQ(slow_in(make_layers(config), kGpu), (Names{"encoder.conv_0", "decoder.deconv_end"}));
  EXPECT_EQ(slow_in(make_layers(config), at::kCPU), Names{});
}

TEST(LayerPlan, IsWhatTheModelAndTheSummaryGoBy) {
  EXPECT_EQ(Autoencoder(uneven(), 1, at::kCPU).slow_layers(), Names{"decoder.upsample_1"});
  const Summary summary = summarize(uneven(), 8, OptimizerKind::kAdam);
  for (const SummaryRow& row : summary.rows) {
    EXPECT_EQ(row.fast_path, row.name != "decoder.upsample_1") << row.name;
  }
}

TEST(LayerPlan, SaysItInALine) {
  EXPECT_EQ(slow_layers_note({}, at::kCPU), "");
  EXPECT_EQ(slow_layers_note({"a"}, at::kCPU),
            "a has no fast path on cpu: libtorch's operations compute it one by one, which is "
            "slower.");
  EXPECT_EQ(slow_layers_note({"a", "b"}, kGpu),
            "a, b have no fast path on cuda:0: libtorch's operations compute them one by one, "
            "which is slower.");
}

}  // namespace
}  // namespace flexae
