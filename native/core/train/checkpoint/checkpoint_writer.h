#pragma once

#include <cstdint>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "core/train/checkpoint/checkpoint.h"

namespace flexae {

/// Writes a run's checkpoints on a thread of its own, one at a time and in order, while the
/// training goes on: `last.ckpt`, the one before it as `previous.ckpt`, and further names. At every
/// instant the run folder holds a whole checkpoint from the first one on.
class CheckpointWriter {
 public:
  /// `keep`: how many `ep….ckpt` files stay, the newest; 0 for all.
  CheckpointWriter(std::string run_dir, int64_t keep);
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  /// Waits for the one before. `links`: further names for the same checkpoint. Throws what a write
  /// before has failed with.
  void write(std::shared_ptr<const Checkpoint> checkpoint, const std::vector<std::string>& links);
  /// Throws what a write that has ended has failed with; does not wait.
  void check();
  /// Waits until all is on disk; throws what failed.
  void wait();

 private:
  void prune() const;

  std::string run_dir_;
  int64_t keep_;
  std::future<void> writing_;
};

}  // namespace flexae
