#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/loss/metrics.h"
#include "core/tensor/named_tensors.h"

namespace flexae {

/// What an epoch gave.
struct EpochReport {
  int64_t epoch = 0;  ///< From 1.
  Metrics::Values train{};
  Metrics::Values valid{};
  double seconds = 0;
  double images_per_second = 0;  ///< Training images, validation excluded.
  double learning_rate = 0;      ///< At its end; NaN of a checkpoint that does not say.
  bool best = false;
  int64_t best_epoch = 0;
  std::string checkpoint;  ///< Name of its `ep….ckpt` in the run folder; "" if it has none.
};

/// How far into an epoch a training is. All zero between epochs.
struct EpochProgress {
  int64_t batch = 0;     ///< Batches trained, those without a readable image included.
  int64_t images = 0;    ///< Images trained.
  double seconds = 0;    ///< Spent on this epoch.
  at::Tensor metrics{};  ///< Metrics::state() of the training images; defined if batch > 0.
};

/// Where a training stands besides its weights and its optimizer.
struct TrainingState {
  int64_t epoch = 0;       ///< Epochs completed.
  int64_t best_epoch = 0;  ///< 0 when none was completed.
  double best_loss = 0;
  int64_t wait = 0;             ///< Epochs since the best one.
  int64_t last_checkpoint = 0;  ///< Epoch of the last `ep….ckpt`.
  int64_t rewinds = 0;          ///< Times it went back because of numbers that were not finite.
  double seconds = 0;           ///< Spent in all, up to the end of the last epoch.
  EpochProgress progress;       ///< Into epoch + 1.
  std::vector<EpochReport> history;
};

/// A training at one instant, on the host and in memory of its own, so that it can be written while
/// the training goes on. Nothing random needs storing (see random.h).
struct Snapshot {
  TrainingState state;
  int64_t iterations = 0;  ///< Of the optimizer.
  double learning_rate = 0;
  NamedTensors model;  ///< As Autoencoder::state().
  NamedTensors best;   ///< The best epoch's; empty if there is none or it is `model`.
  NamedTensors slots;  ///< The optimizer's, as `<slot>.<parameter>`.
};

}  // namespace flexae
