#include "core/export/given_weights.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <utility>

#include "core/base/error.h"
#include "core/files/atomic_file.h"
#include "core/model/autoencoder.h"
#include "core/model/model_layers.h"
#include "core/spec/model_config_json.h"
#include "test/core/temporary_folder.h"

namespace flexae {
namespace {

ModelConfig tiny_config() {
  ModelConfig config;
  config.height = 12;
  config.width = 9;
  config.filters = {3};
  config.pooling = {Pooling::kAvg};
  config.kernel_size = {3};
  config.strides = {2};
  config.dims = {4};
  return config;
}

std::string tiny_manifest() {
  return Json(Json::Object{{"model", model_config_to_json(tiny_config())}}).dump();
}

NamedTensors tiny_weights() {
  NamedTensors weights;
  for (const auto& [name, tensor] : Autoencoder(tiny_config(), /*seed=*/7, at::kCPU).state()) {
    weights.emplace_back(name, tensor.clone());
  }
  return weights;
}

/// What is said of these weights, of which nothing may then be written.
std::string said_of(const NamedTensors& weights) {
  const TemporaryFolder folder;
  try {
    write_given_weights(folder.path(""), tiny_manifest(), weights);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kModel);
    EXPECT_THROW(read_file(folder.path("ae.pt")), Error);
    return error.what();
  }
  return "";
}

TEST(GivenWeights, AreThoseOfBothModels) {
  const TemporaryFolder folder;
  const NamedTensors weights = tiny_weights();
  write_given_weights(folder.path(""), tiny_manifest(), weights);
  const ModelLayers autoencoder = read_model_layers(folder.path("ae.pt"));
  ASSERT_EQ(autoencoder.file.weights.size(), weights.size());
  for (size_t i = 0; i < weights.size(); ++i) {
    EXPECT_EQ(autoencoder.file.weights[i].first, weights[i].first);
    EXPECT_TRUE(at::equal(autoencoder.file.weights[i].second, weights[i].second));
  }
  EXPECT_EQ(autoencoder.file.config_json, tiny_manifest());
  EXPECT_FALSE(read_model_layers(folder.path("en.pt")).file.autoencoder);
}

TEST(GivenWeights, AreRefusedByName) {
  NamedTensors weights = tiny_weights();
  weights[0].second.view(-1)[2] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_NE(said_of(weights).find(weights[0].first + " holds numbers that are not finite"),
            std::string::npos);
  weights = tiny_weights();
  for (auto& [name, tensor] : weights) {
    if (name == "encoder.conv_0_bn.running_var") tensor[1] = -0.5;
  }
  EXPECT_NE(said_of(weights).find("encoder.conv_0_bn.running_var"), std::string::npos);
  weights = tiny_weights();
  weights.pop_back();
  EXPECT_NE(said_of(weights).find("is missing"), std::string::npos);
  weights = tiny_weights();
  weights[0].second = weights[0].second.flatten();
  EXPECT_NE(said_of(weights).find("another shape"), std::string::npos);
}

}  // namespace
}  // namespace flexae
