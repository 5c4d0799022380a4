#include "core/export/encoder_exporter.h"

#include "core/export/torchscript.h"

namespace flexae {

void EncoderExporter::write(const Autoencoder& model, const std::string& path,
                            const std::string& config_json) const {
  export_encoder(model, path, config_json);
}

}  // namespace flexae
