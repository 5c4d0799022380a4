#pragma once

#include "core/export/exporter.h"

namespace flexae {

/// The encoder alone as TorchScript, `en.pt`: forward() embeds. See torchscript.h.
class EncoderExporter : public Exporter {
 public:
  [[nodiscard]] std::string file() const override { return "en.pt"; }
  void write(const Autoencoder& model, const std::string& path,
             const std::string& config_json) const override;
};

}  // namespace flexae
