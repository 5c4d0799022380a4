#include "core/cpu/match.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/cpu/conv_block.h"
#include "core/layers/kinds.h"
#include "core/layers/layer_list.h"
#include "core/spec/layer_spec.h"

namespace flexae {
namespace {

LayerSpec layer(const LayerKind& kind, int64_t in = 8, int64_t out = 8) {
  LayerSpec spec;
  spec.kind = &kind;
  spec.in = {1, in, in};
  spec.out = {1, out, out};
  return spec;
}

const LayerSpec kConv = layer(kinds::kConv);
const LayerSpec kTransposed = layer(kinds::kConvTranspose);
const LayerSpec kNorm = layer(kinds::kBatchNorm);
const LayerSpec kPool = layer(kinds::kPool, 8, 4);
const LayerSpec kUpsample = layer(kinds::kUpsample, 4, 8);
const LayerSpec kDropout = layer(kinds::kDropout);

TEST(MatchTest, TakesAConvolutionWithItsNormalization) {
  for (const LayerSpec& conv : {kConv, kTransposed}) {
    const std::vector<LayerSpec> specs{kDropout, conv, kNorm, kDropout};
    const StageMatch match = match_conv_stage(specs, 1);
    EXPECT_EQ(match.length, 2U);
    EXPECT_EQ(match.conv, &specs[1]);
    EXPECT_EQ(match.norm, &specs[2]);
    EXPECT_EQ(match.upsample, nullptr);
    EXPECT_EQ(match.pool, nullptr);
    EXPECT_EQ(match_conv_stage(specs, 0).length, 0U);
    EXPECT_EQ(match_conv_stage(specs, 2).length, 0U);
    EXPECT_EQ(match_conv_stage(specs, 4).length, 0U);
  }
}

TEST(MatchTest, TakesAPoolingBehind) {
  const std::vector<LayerSpec> specs{kConv, kNorm, kPool, kConv};
  const StageMatch match = match_conv_stage(specs, 0);
  EXPECT_EQ(match.length, 3U);
  EXPECT_EQ(match.pool, &specs[2]);
}

TEST(MatchTest, TakesAnUpsamplingInFrontOfATransposedConvolutionAlone) {
  const std::vector<LayerSpec> specs{kUpsample, kTransposed, kNorm};
  const StageMatch match = match_conv_stage(specs, 0);
  EXPECT_EQ(match.length, 3U);
  EXPECT_EQ(match.upsample, &specs[0]);
  EXPECT_EQ(match.conv, &specs[1]);
  EXPECT_EQ(match_conv_stage({kUpsample, kConv, kNorm}, 0).length, 0U);
  // One that crops is a layer of its own.
  EXPECT_EQ(match_conv_stage({layer(kinds::kUpsample, 4, 7), kTransposed, kNorm}, 0).length, 0U);
}

TEST(MatchTest, LeavesAConvolutionWithoutNormalization) {
  EXPECT_EQ(match_conv_stage({kConv}, 0).length, 0U);
  EXPECT_EQ(match_conv_stage({kConv, kPool, kNorm}, 0).length, 0U);
}

TEST(MatchTest, IsTheLengthOfAStage) {
  const std::vector<LayerSpec> specs = make_layers(ModelConfig{});
  size_t stages = 0;
  for (size_t i = 0; i < specs.size(); ++i) {
    const size_t length = conv_stage_length(specs, i);
    EXPECT_EQ(length, match_conv_stage(specs, i).length);
    stages += length > 0 ? 1 : 0;
  }
  EXPECT_GT(stages, 2U);
}

}  // namespace
}  // namespace flexae
