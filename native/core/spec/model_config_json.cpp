#include "core/spec/model_config_json.h"

#include <cstdint>
#include <vector>

namespace flexae {
namespace {

Regularizer read_regularizer(const Json& json) {
  return {json.at("l1").number(), json.at("l2").number()};
}

Constraint read_constraint(const Json& json) {
  Constraint result;
  result.kind = constraint_from_name(json.at("name").string());
  if (json.has("minValue")) result.min_value = json.at("minValue").number();
  if (json.has("maxValue")) result.max_value = json.at("maxValue").number();
  if (json.has("rate")) result.rate = json.at("rate").number();
  return result;
}

std::vector<int64_t> integers(const Json& json) {
  std::vector<int64_t> result;
  for (const Json& entry : json.array()) result.push_back(entry.integer());
  return result;
}

}  // namespace

ModelConfig model_config_from_json(const Json& json) {
  ModelConfig c;
  c.height = json.at("height").integer();
  c.width = json.at("width").integer();
  c.channels = json.at("channels").integer();
  c.filters = integers(json.at("filters"));
  c.pooling.clear();
  for (const Json& entry : json.at("pooling").array()) {
    c.pooling.push_back(pooling_from_name(entry.string()));
  }
  c.kernel_size = integers(json.at("kernelSize"));
  c.strides = integers(json.at("strides"));
  c.activation = activation_from_name(json.at("activation").string());
  c.last_activation = activation_from_name(json.at("lastActivation").string());
  c.drop_rate = json.at("dropRate").number();
  c.dims = integers(json.at("dims"));
  c.mlp = json.at("mlp").boolean();
  c.use_bias = json.at("useBias").boolean();
  c.kernel_initializer = initializer_from_name(json.at("kernelInitializer").string());
  c.bias_initializer = initializer_from_name(json.at("biasInitializer").string());
  c.kernel_regularizer = read_regularizer(json.at("kernelRegularizer"));
  c.bias_regularizer = read_regularizer(json.at("biasRegularizer"));
  c.activity_regularizer = read_regularizer(json.at("activityRegularizer"));
  c.kernel_constraint = read_constraint(json.at("kernelConstraint"));
  c.bias_constraint = read_constraint(json.at("biasConstraint"));
  c.cnn_kernel_initializer = initializer_from_name(json.at("cnnKernelInitializer").string());
  c.cnn_bias_initializer = initializer_from_name(json.at("cnnBiasInitializer").string());
  c.cnn_kernel_regularizer = read_regularizer(json.at("cnnKernelRegularizer"));
  c.batch_norm_momentum = json.at("batchNormMomentum").number();
  c.batch_norm_epsilon = json.at("batchNormEpsilon").number();
  validate(c);
  return c;
}

}  // namespace flexae
