#pragma once

#include <ATen/core/Tensor.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/model/autoencoder.h"

namespace flexae {

/// What the model makes of a few images after an epoch.
struct ReconstructionReport {
  int64_t epoch = 0;           ///< From 1.
  at::Tensor originals;        ///< uint8, N×H×W×C, on the host; the same images each time.
  at::Tensor reconstructions;  ///< Alike.
};

/// Keeps a few validation images and reconstructs them after epochs, for whoever watches. It takes
/// at most one part in 200 of the training's time: where an epoch is too short for that, some pass
/// without.
class Reconstructions {
 public:
  /// `count` images of a set of `size`, from all over it.
  Reconstructions(int64_t count, int64_t size);

  /// A batch of the first pass over the set in order, of bytes N×H×W×C; keeps those it wants. Of an
  /// image that could not be read, the next one stands in.
  void offer(const at::Tensor& images, const std::vector<int64_t>& indices);
  /// The pass is over: nothing more is kept.
  void close() { is_closed_ = true; }
  /// No more of them.
  void stop() { kept_.clear(); }

  /// Nothing if it is too early again, unless it is the last epoch, or if there are no images.
  /// Larger images are made smaller: the longer side has at most 128 pixels.
  std::optional<ReconstructionReport> after_epoch(int64_t epoch, bool is_last, Autoencoder& model);

 private:
  using Clock = std::chrono::steady_clock;

  size_t count_;
  int64_t size_;
  bool is_closed_ = false;
  std::vector<at::Tensor> kept_;  ///< Each H×W×C, on the device.
  at::Tensor originals_;          ///< As reported.
  std::optional<Clock::time_point> due_;
};

}  // namespace flexae
