#include "core/export/autoencoder_exporter.h"

#include "core/export/torchscript.h"

namespace flexae {

void AutoencoderExporter::write(const Autoencoder& model, const std::string& path,
                                const std::string& config_json) const {
  export_autoencoder(model, path, config_json);
}

}  // namespace flexae
