#include "core/export/given_weights.h"

#include <ATen/ATen.h>

#include "core/base/error.h"
#include "core/base/json.h"
#include "core/export/exporter.h"
#include "core/model/autoencoder.h"
#include "core/spec/model_config_json.h"

namespace flexae {
namespace {

/// A normalization's, whose square root is taken.
bool is_variance(const std::string& name) {
  return name.ends_with(".running_var");
}

void require_usable(const NamedTensors& weights) {
  for (const auto& [name, tensor] : weights) {
    if (!at::isfinite(tensor).all().item<bool>()) {
      throw Error(ErrorCode::kModel, "the weight " + name + " holds numbers that are not finite");
    }
    if (is_variance(name) && at::any(tensor < 0).item<bool>()) {
      throw Error(ErrorCode::kModel, "the variances " + name + " are not all at least 0");
    }
  }
}

}  // namespace

void write_given_weights(const std::string& folder, const std::string& config_json,
                         const NamedTensors& weights) {
  require_usable(weights);
  const ModelConfig config = model_config_from_json(Json::parse(config_json).at("model"));
  // Whatever it begins with is replaced.
  Autoencoder model(config, /*seed=*/0, at::kCPU);
  model.load_state(weights);
  for (const auto& exporter : default_exporters()) {
    exporter->write(model, folder + "/" + exporter->file(), config_json);
  }
}

}  // namespace flexae
