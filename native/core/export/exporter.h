#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/model/autoencoder.h"

namespace flexae {

/// Writes a trained model for others, in one format. A new format is a file in this folder with its
/// class, and a row in default_exporters() if every training is to write it.
class Exporter {
 public:
  virtual ~Exporter() = default;

  /// The file's name in the folder of a run.
  [[nodiscard]] virtual std::string file() const = 0;

  /// Writes `model` to `path`, atomically. `config_json` describes it, for whoever reads it back.
  /// Throws Error(kIo).
  virtual void write(const Autoencoder& model, const std::string& path,
                     const std::string& config_json) const = 0;
};

/// What a training writes when it ends, in this order.
using Exporters = std::vector<std::shared_ptr<const Exporter>>;

/// `ae.pt` and `en.pt`.
Exporters default_exporters();

}  // namespace flexae
