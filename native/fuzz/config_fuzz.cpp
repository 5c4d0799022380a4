/// Any text as the description of a network, as models and checkpoints carry it.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/base/json.h"
#include "core/layers/layer_list.h"
#include "core/spec/model_config_json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const flexae::Json json = flexae::Json::parse(text);
    // What was read is written so that it is read again as the same.
    const std::string dumped = json.dump();
    if (flexae::Json::parse(dumped).dump() != dumped) std::abort();
    const flexae::ModelConfig config = flexae::model_config_from_json(json);
    // A network that was read is written so that it is read again as the same.
    const std::string written = flexae::model_config_to_json(config).dump();
    const flexae::ModelConfig again = flexae::model_config_from_json(flexae::Json::parse(written));
    if (flexae::model_config_to_json(again).dump() != written) std::abort();
    int64_t parameters = 0;
    int64_t macs = 0;
    for (const flexae::LayerSpec& layer : flexae::make_layers(config)) {
      if (layer.out.numel() < 1) std::abort();
      parameters += layer.parameters();
      macs += layer.macs();
    }
    if (parameters < 0 || macs < 0) std::abort();
  } catch (const flexae::Error&) {
  }
  return 0;
}
