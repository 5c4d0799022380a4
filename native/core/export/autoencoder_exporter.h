#pragma once

#include "core/export/exporter.h"

namespace flexae {

/// The whole network as TorchScript, `ae.pt`: forward() reconstructs. See torchscript.h.
class AutoencoderExporter : public Exporter {
 public:
  [[nodiscard]] std::string file() const override { return "ae.pt"; }
  void write(const Autoencoder& model, const std::string& path,
             const std::string& config_json) const override;
};

}  // namespace flexae
