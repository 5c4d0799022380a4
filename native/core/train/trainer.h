#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "core/comm/communicator.h"
#include "core/device/precision.h"
#include "core/export/exporter.h"
#include "core/train/checkpoint/training_state.h"
#include "core/train/feed/batch_source.h"
#include "core/train/reconstructions.h"
#include "core/train/trainer_config.h"

namespace flexae {

enum class Stopped { kFinished, kEarly, kInterrupted };

/// Where an epoch is; epochs and batches count from 1.
struct ProgressReport {
  bool validating = false;
  int64_t epoch = 0;
  int64_t batch = 0;
  int64_t batches = 0;
  double loss = 0;  ///< Running mean of the epoch.
  double images_per_second = 0;
};

/// Told of what happens, on the training's thread.
class TrainingObserver {
 public:
  virtual ~TrainingObserver() = default;
  /// `from`: where the training goes on from; at its beginning, all zero.
  virtual void on_start(at::Device device, Precision precision, int threads, int64_t batches,
                        const TrainingState& from) = 0;
  virtual void on_progress(const ProgressReport& report) = 0;
  virtual void on_epoch(const EpochReport& report) = 0;
  /// After some epochs' on_epoch().
  virtual void on_reconstructions(const ReconstructionReport& report) = 0;
  /// What is allowed but worth saying.
  virtual void on_warning(const std::string& message) = 0;
  virtual void on_finishing(Stopped stopped) = 0;
  /// What the other processes should hear of this one's images, after each pass; then, in all of
  /// them, everybody's, by rank. Not called where there are no others.
  virtual std::string tell_others() { return {}; }
  virtual void hear_others(const std::vector<std::string>& /*told*/) {}
};

/// How a training ended; epochs count from 1.
struct TrainingResult {
  Stopped stopped = Stopped::kFinished;
  int64_t epochs = 0;
  int64_t best_epoch = 0;  ///< 0 when no epoch completed.
  bool scored = false;     ///< Whether train and valid are set; not after an interruption.
  Metrics::Values train{};
  Metrics::Values valid{};
  double seconds = 0;  ///< Of all sessions of a resumed training.
};

/// Trains on the calling thread until the last epoch, until patience ends, or until `cancel` is
/// set (looked at before each batch, of the scoring at the end too). The weights of the best epoch
/// are kept, scored and written to `run_dir` by each of `exporters`; checkpoints go there too, the
/// last when the training ends or is cancelled. A training that goes on from a checkpoint gives on
/// a CPU, bit for bit, what it would have given uninterrupted. Throws Error; kConfig if a setting,
/// or FLEXAE_KERNELS, is none, kNan if a loss or gradient stops being finite, kModel if the
/// checkpoint is damaged or another network's.
///
/// With the other processes of `communicator` it is one training: each computes its part of every
/// batch, and all have the same weights and numbers. What is read from files and written, rank 0
/// does, so that `run_dir` is its alone. Throws Error(kProcess) if another process is lost.
TrainingResult train(const TrainerConfig& config, BatchSource& train_source,
                     BatchSource& valid_source, const Exporters& exporters,
                     TrainingObserver& observer, const std::atomic<bool>& cancel,
                     Communicator& communicator = Communicator::alone());

}  // namespace flexae
