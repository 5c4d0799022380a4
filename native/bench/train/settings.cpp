#include "train/settings.h"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <iterator>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/spec/model_config_json.h"

namespace flexae::bench {

const char* const kUsage = R"(usage: flexae_train_bench [NAME VALUE]...

Times training steps on images in memory and prints images a second, the share of the device's peak
and the memory taken. Settings, as flags (--batch-size 64) or in the JSON object of a file given with
--config FILE; the file counts first, flags over it:

  --image-shape H,W  --channels 1|3  --filters 32,64  --pooling avg,no|max  --kernel-size 5,3
  --strides 2  --dims 1000  --mlp true|false  --drop-rate 0.5  --activation elu
  --last-activation selu  --batch-size 32  --optimizer adadelta  --learning-rate 1
  --device auto|cpu|cuda|cuda:N  --precision auto|fp32|bf16  --threads N  --seed N
  --horizontal-flip true|false  --vertical-flip true|false
  and whatever else describes a network, such as --kernel-regularizer '{"l1":0,"l2":0.001}'

  --images FILE   train on the tensor `images` (uint8 N×H×W×C) of a safetensors file; synthetic
                  images of the network's shape otherwise
  --steps N       timed steps (20)        --warmup N   steps before them (5)
  --peak-size N   side of the matrices whose product measures the peak; 0 leaves it out
  --json          print one JSON object instead of a table
  --profile FILE  write a Chrome trace of --steps training steps, and print where their time went
  --serve         for comparisons in turns: says {"ready":true,...} once warm, then answers each line
                  {"steps":K} of standard input with {"seconds":S,"loss":L}
)";

namespace {

/// image-shape, imageShape and image_shape are one name.
std::string name_key(const std::string& name) {
  std::string key;
  for (const char c : name) {
    if (c != '-' && c != '_') key += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return key;
}

/// A flag's text as a config file would have it: 5,3 is [5,3], elu is "elu".
Json flag_value(const std::string& text) {
  try {
    return Json::parse(text);
  } catch (const Error&) {
    if (text.find(',') == std::string::npos) return {text};
  }
  Json::Array items;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    items.push_back(flag_value(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return {std::move(items)};
}

bool is_list(const Json& json) {
  try {
    (void)json.array();
    return true;
  } catch (const Error&) {
    return false;
  }
}

/// As in training: a shorter list repeats its last entry, a longer one is cut.
void fit_length(Json& list, const Json& like) {
  Json::Array values = list.array();
  if (!values.empty()) values.resize(like.array().size(), Json(values.back()));
  list = std::move(values);
}

}  // namespace

void Settings::set(const std::string& name, const Json& value) {
  try {
    if (!set_own(name_key(name), value) && !set_core(name_key(name), value)) {
      throw Error(ErrorCode::kConfig, "Unknown setting: --help lists all");
    }
  } catch (const Error& error) {
    throw Error(ErrorCode::kConfig, name + " " + value.dump() + ": " + error.what());
  }
}

void Settings::finish() {
  for_each_model_setting(trainer.model, [&](const Setting& setting, const auto& /*value*/) {
    if (setting.per_layer) fit_length(model.at(setting.key), model.at("filters"));
  });
  const std::string& optimizer = training.at("optimizer").string();
  if (!learning_rate_given && optimizer != "adadelta") {
    training["learningRate"] = optimizer == "sgd" ? 0.01 : 0.001;
  }
  static_cast<TrainingSettings&>(trainer) = training_settings_from_json(training);
  trainer.model = model_config_from_json(model);
  if (steps < 1 || warmup < 0) throw Error(ErrorCode::kConfig, "Expected --steps of at least 1");
}

bool Settings::set_own(const std::string& key, const Json& value) {
  if (key == "images") {
    images = value.string();
  } else if (key == "steps") {
    steps = value.integer();
  } else if (key == "warmup") {
    warmup = value.integer();
  } else if (key == "peaksize") {
    peak_size = value.integer();
  } else if (key == "profile") {
    profile = value.string();
  } else {
    return false;
  }
  return true;
}

bool Settings::set_core(const std::string& key, const Json& value) {
  if (key == "imageshape") {
    if (!is_list(value) || value.array().size() != 2) {
      throw Error(ErrorCode::kConfig, "Expected H,W");
    }
    model["height"] = value.array()[0];
    model["width"] = value.array()[1];
    return true;
  }
  bool found = false;
  const auto set_in = [&](Json::Object& object) {
    return [&](const Setting& setting, const auto& /*value*/) {
      if (key != name_key(setting.key) && key != name_key(setting.name)) return;
      Json& member = object.at(setting.key);
      member = is_list(member) && !is_list(value) ? Json(Json::Array{value}) : value;
      found = true;
    };
  };
  for_each_model_setting(trainer.model, set_in(model));
  for_each_training_setting(trainer, set_in(training));
  learning_rate_given |= key == "learningrate";
  return found;
}

Settings read_settings(int argc, char** argv) {
  Settings settings;
  std::vector<std::pair<std::string, std::string>> flags;
  for (int i = 1; i < argc; ++i) {
    std::string name = argv[i];
    if (!name.starts_with("--")) {
      throw Error(ErrorCode::kConfig, "Expected a flag but received " + name + ": see --help");
    }
    name = name.substr(2);
    if (name == "json" || name == "serve") {
      (name == "json" ? settings.json : settings.serve) = true;
      continue;
    }
    std::string value;
    if (const size_t equals = name.find('='); equals != std::string::npos) {
      value = name.substr(equals + 1);
      name.resize(equals);
    } else if (i + 1 < argc) {
      value = argv[++i];
    } else {
      throw Error(ErrorCode::kConfig, "Expected a value for --" + name);
    }
    if (name != "config") {
      flags.emplace_back(name, value);
      continue;
    }
    std::ifstream file(value, std::ios::binary);
    if (!file) throw Error(ErrorCode::kIo, value + " cannot be read");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const Json settings_file = Json::parse(text);
    for (const auto& [key, entry] : settings_file.object()) settings.set(key, entry);
  }
  for (const auto& [name, value] : flags) settings.set(name, flag_value(value));
  settings.finish();
  return settings;
}

}  // namespace flexae::bench
