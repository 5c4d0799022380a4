#include "core/spec/model_config_json.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/base/error.h"

namespace flexae {
namespace {

void read(const Json& json, bool& value) {
  value = json.boolean();
}
void read(const Json& json, int64_t& value) {
  value = json.integer();
}
void read(const Json& json, double& value) {
  value = json.number();
}
void read(const Json& json, std::string& value) {
  value = json.string();
}
void read(const Json& json, Pooling& value) {
  value = pooling_from_name(json.string());
}
void read(const Json& json, Activation& value) {
  value = activation_from_name(json.string());
}
void read(const Json& json, Initializer& value) {
  value = initializer_from_name(json.string());
}
void read(const Json& json, OptimizerKind& value) {
  value = optimizer_from_name(json.string());
}
void read(const Json& json, OnNan& value) {
  value = on_nan_from_name(json.string());
}
void read(const Json& json, Regularizer& value) {
  value = {json.at("l1").number(), json.at("l2").number()};
}
void read(const Json& json, Constraint& value) {
  value = {};
  value.kind = constraint_from_name(json.at("name").string());
  if (json.has("minValue")) value.min_value = json.at("minValue").number();
  if (json.has("maxValue")) value.max_value = json.at("maxValue").number();
  if (json.has("rate")) value.rate = json.at("rate").number();
}
template <typename T>
void read(const Json& json, std::vector<T>& values) {
  values.clear();
  for (const Json& entry : json.array()) read(entry, values.emplace_back());
}

/// Reads a member, and names it where it is of another type.
class Reader {
 public:
  explicit Reader(const Json& json) : json_(json) {}

  template <typename T>
  void operator()(const Setting& setting, T& value) const {
    if (setting.later && !json_.has(setting.key)) return;
    const Json& member = json_.at(setting.key);
    try {
      read(member, value);
    } catch (const Error& error) {
      throw Error(error.code(), std::string("'") + setting.key + "': " + error.what());
    }
  }

 private:
  const Json& json_;
};

Json write(bool value) {
  return value;
}
Json write(int64_t value) {
  return value;
}
Json write(double value) {
  return value;
}
Json write(const std::string& value) {
  return value;
}
Json write(const Regularizer& value) {
  return Json::Object{{"l1", value.l1}, {"l2", value.l2}};
}
Json write(const Constraint& value) {
  using Kind = Constraint::Kind;
  Json::Object object{{"name", name_of(value.kind)}};
  if (value.kind == Kind::kMaxNorm || value.kind == Kind::kMinMaxNorm) {
    object["maxValue"] = value.max_value;
  }
  if (value.kind == Kind::kMinMaxNorm) {
    object["minValue"] = value.min_value;
    object["rate"] = value.rate;
  }
  return object;
}
template <typename Enum>
auto write(Enum value) -> decltype(name_of(value), Json()) {
  return name_of(value);
}
template <typename T>
Json write(const std::vector<T>& values) {
  Json::Array array;
  for (const T& value : values) array.push_back(write(value));
  return array;
}

}  // namespace

ModelConfig model_config_from_json(const Json& json) {
  ModelConfig config;
  for_each_model_setting(config, Reader(json));
  validate(config);
  return config;
}

Json model_config_to_json(const ModelConfig& config) {
  Json::Object object;
  for_each_model_setting(config, [&](const Setting& setting, const auto& value) {
    object[setting.key] = write(value);
  });
  return object;
}

TrainingSettings training_settings_from_json(const Json& json) {
  TrainingSettings settings;
  for_each_training_setting(settings, Reader(json));
  validate(settings);
  return settings;
}

Json training_settings_to_json(const TrainingSettings& settings) {
  Json::Object object;
  for_each_training_setting(settings, [&](const Setting& setting, const auto& value) {
    object[setting.key] = write(value);
  });
  return object;
}

}  // namespace flexae
