#include "core/spec/model_config_json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "core/base/error.h"

namespace flexae {
namespace {

/// The network of a config.json as version 0.1.0 wrote it.
constexpr const char* kEarlier =
    R"({"height":28,"width":20,"channels":1,"filters":[4,8],)"
    R"("pooling":["avg","no"],"kernelSize":[5,2],"strides":[2,1],)"
    R"("activation":"elu","lastActivation":"selu","dropRate":0.5,)"
    R"("dims":[6,3],"mlp":true,"useBias":true,)"
    R"("kernelInitializer":"glorot_uniform","biasInitializer":"zeros",)"
    R"("kernelRegularizer":{"l1":0,"l2":0.01},)"
    R"("biasRegularizer":{"l1":0,"l2":0},)"
    R"("activityRegularizer":{"l1":0.0001,"l2":0},)"
    R"("kernelConstraint":{"name":"min_max_norm","minValue":0.5,)"
    R"("maxValue":2,"rate":0.25},"biasConstraint":{"name":"none"},)"
    R"("cnnKernelInitializer":"orthogonal",)"
    R"("cnnBiasInitializer":"zeros",)"
    R"("cnnKernelRegularizer":{"l1":0,"l2":0},)"
    R"("batchNormMomentum":0.99,"batchNormEpsilon":0.001})";

template <typename Work>
std::pair<ErrorCode, std::string> refusal(const Work& work) {
  try {
    work();
  } catch (const Error& error) {
    return {error.code(), error.what()};
  }
  return {ErrorCode::kInternal, ""};
}

TEST(ModelConfigJson, ReadsWhatEarlierVersionsWrote) {
  const ModelConfig config = model_config_from_json(Json::parse(kEarlier));
  EXPECT_EQ(config.width, 20);
  EXPECT_EQ(config.pooling, (std::vector<Pooling>{Pooling::kAvg, Pooling::kNone}));
  EXPECT_EQ(config.last_activation, Activation::kSelu);
  EXPECT_EQ(config.kernel_constraint.rate, 0.25);
  EXPECT_EQ(config.cnn_kernel_initializer, Initializer::kOrthogonal);
  // And writes it back word for word.
  EXPECT_EQ(model_config_to_json(config).dump(), Json::parse(kEarlier).dump());
}

TEST(ModelConfigJson, NamesTheMemberThatIsMissingOrOfAnotherType) {
  const Json whole = Json::parse(kEarlier);
  for (const auto& [key, value] : whole.object()) {
    Json::Object without = whole.object();
    without.erase(key);
    const auto missing = refusal([&] { model_config_from_json(Json(without)); });
    EXPECT_EQ(missing.first, ErrorCode::kModel);
    EXPECT_NE(missing.second.find("'" + key + "'"), std::string::npos) << missing.second;
    without[key] = Json();
    const auto wrong = refusal([&] { model_config_from_json(Json(without)); });
    EXPECT_EQ(wrong.first, ErrorCode::kModel);
    EXPECT_NE(wrong.second.find("'" + key + "'"), std::string::npos) << wrong.second;
  }
}

TEST(ModelConfigJson, RefusesAConstraintThatCannotBe) {
  for (const char* text :
       {R"({"name":"max_norm","maxValue":0})", R"({"name":"max_norm","maxValue":-1})",
        R"({"name":"min_max_norm","minValue":3,"maxValue":2,"rate":1})",
        R"({"name":"min_max_norm","minValue":0,"maxValue":2,"rate":1.5})"}) {
    Json::Object object = Json::parse(kEarlier).object();
    object["biasConstraint"] = Json::parse(text);
    const auto refused = refusal([&] { model_config_from_json(Json(object)); });
    EXPECT_EQ(refused.first, ErrorCode::kConfig) << text;
    EXPECT_NE(refused.second.find("bias_constraint"), std::string::npos) << refused.second;
  }
}

TEST(ModelConfigJson, LetsTheWidthsBeWhereThereAreNoDenseLayers) {
  Json::Object object = Json::parse(kEarlier).object();
  object["dims"] = Json::Array{int64_t{1} << 30};
  EXPECT_EQ(refusal([&] { model_config_from_json(Json(object)); }).first, ErrorCode::kConfig);
  object["mlp"] = false;
  EXPECT_EQ(refusal([&] { model_config_from_json(Json(object)); }).second, "");
}

TEST(TrainingSettingsJson, ComesBackAsItWasAndIsChecked) {
  TrainingSettings settings;
  settings.epochs = 7;
  settings.on_nan = OnNan::kSkip;
  settings.optimizer = OptimizerKind::kNadam;
  settings.seed = (int64_t{1} << 53) - 1;
  settings.precision = "bf16";
  const Json json = training_settings_to_json(settings);
  EXPECT_EQ(training_settings_to_json(training_settings_from_json(json)).dump(), json.dump());
  for (const auto& [key, value] : Json::Object{{"batchSize", int64_t{0}},
                                               {"learningRate", 0.0},
                                               {"threads", int64_t{1025}},
                                               {"checkpointMinutes", -1.0}}) {
    Json::Object object = json.object();
    object[key] = value;
    const auto refused = refusal([&] { training_settings_from_json(Json(object)); });
    EXPECT_EQ(refused.first, ErrorCode::kConfig) << key;
    EXPECT_EQ(refused.second.rfind("Expected ", 0), 0U) << refused.second;
  }
}

TEST(Setting, AllowsWhatLiesWithinItsBounds) {
  Setting setting{.key = "x", .name = "x", .least = 0, .most = 1};
  EXPECT_TRUE(setting.allows(0) && setting.allows(1) && setting.allows(0.5));
  EXPECT_FALSE(setting.allows(std::nextafter(0, -1)) || setting.allows(std::nextafter(1, 2)));
  EXPECT_FALSE(setting.allows(std::nan("")));
  setting.above_least = setting.below_most = true;
  EXPECT_FALSE(setting.allows(0) || setting.allows(1));
  EXPECT_TRUE(setting.allows(std::nextafter(0, 1)) && setting.allows(std::nextafter(1, 0)));
  const Setting open{.key = "x", .name = "x"};
  EXPECT_TRUE(open.allows(1e308));
  EXPECT_FALSE(open.allows(HUGE_VAL));
  const Setting few{.key = "x", .name = "x", .among = {1, 3}};
  EXPECT_TRUE(few.allows(1) && few.allows(3));
  EXPECT_FALSE(few.allows(2));
}

}  // namespace
}  // namespace flexae
