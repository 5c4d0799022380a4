#include "core/export/exporter.h"

#include "core/export/autoencoder_exporter.h"
#include "core/export/encoder_exporter.h"

namespace flexae {

Exporters default_exporters() {
  return {std::make_shared<AutoencoderExporter>(), std::make_shared<EncoderExporter>()};
}

}  // namespace flexae
