#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/train/checkpoint/training_state.h"

namespace flexae {

/// A training as a file keeps it. See docs/formats.md.
struct Checkpoint {
  Snapshot snapshot;
  std::string config_json;    ///< As in the exported models.
  std::string settings_json;  ///< All settings of the run, for whoever resumes it.
};

/// Writes `path`, and the same under each of `links` (see write_file_atomic). Throws Error(kIo).
void write_checkpoint(const std::string& path, const Checkpoint& checkpoint,
                      const std::vector<std::string>& links = {});

/// Reads a file that anyone may have made: nothing in it is executed, and every size and count is
/// checked before it is used. Throws Error(kModel) if a byte is not as it was written, Error(kIo)
/// if it cannot be read. Whether its tensors fit a network is for whoever loads them to check.
Checkpoint read_checkpoint(const std::string& path);

/// The same from memory; `name` is for messages.
Checkpoint parse_checkpoint(std::string_view data, const std::string& name);

/// `ep{epoch:03d}-loss{loss:.7f}-val_loss{val_loss:.7f}.ckpt`
std::string checkpoint_name(int64_t epoch, double loss, double valid_loss);

}  // namespace flexae
