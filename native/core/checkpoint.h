#pragma once

#include <cstdint>
#include <string>

#include "core/model.h"
#include "core/optimizer.h"

namespace flexae {

/// Where a training stands besides its weights and its optimizer.
struct TrainingState {
  int64_t epoch = 0;  ///< Epochs completed.
  int64_t best_epoch = 0;
  double best_loss = 0;
  int64_t wait = 0;  ///< Epochs since the best one.
};

/// Writes model, optimizer and state as one tensor file (see safetensors.h): `model.<name>`,
/// `optimizer.<slot>.<name>`, and strings in the metadata. Throws Error(kIo).
void save_checkpoint(const std::string& path, const Autoencoder& model, const Optimizer& optimizer,
                     const TrainingState& state, const std::string& config_json);

/// `ep{epoch:03d}-loss{loss:.7f}-val_loss{val_loss:.7f}.ckpt`
std::string checkpoint_name(int64_t epoch, double loss, double valid_loss);

}  // namespace flexae
