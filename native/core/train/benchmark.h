#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/train/training_step.h"

namespace flexae {

/// Times the steps of a training on images already in memory: no decoding, no validation, nothing
/// written. Use one object from one thread.
class Benchmark {
 public:
  /// \param config the network and how it is trained
  /// \param images uint8 N×H×W×C on the CPU, at least a batch of them; undefined for synthetic
  ///   ones. They are moved to the device whole.
  /// Throws Error(kConfig).
  explicit Benchmark(const TrainerConfig& config, at::Tensor images = {});
  Benchmark(const Benchmark&) = delete;
  Benchmark& operator=(const Benchmark&) = delete;

  /// Runs whole training steps, flips and metrics included. \return milliseconds of each.
  std::vector<double> train(int64_t steps);

  /// Embeds batches of images, from bytes to embeddings on the device, in evaluation mode.
  /// \return milliseconds of each.
  std::vector<double> encode(int64_t batches);

  /// Mean loss of the last train(). NaN before.
  [[nodiscard]] double loss() { return step_.metrics().values().loss; }

  /// See TrainingStep::take_warning().
  std::string take_warning() { return step_.take_warning(); }

  [[nodiscard]] at::Device device() const { return step_.device(); }
  [[nodiscard]] Precision precision() const { return step_.precision(); }
  [[nodiscard]] int threads() const { return threads_; }
  [[nodiscard]] int64_t batch_size() const { return config_.batch_size; }
  /// The images trained on, uint8 N×H×W×C on the device.
  [[nodiscard]] const at::Tensor& images() const { return images_; }

 private:
  std::vector<double> time(int64_t count, const std::function<void()>& run) const;
  at::Tensor next_batch();

  TrainerConfig config_;
  int threads_;
  TrainingStep step_;
  at::Tensor images_;
  std::vector<int64_t> indices_;
  int64_t at_ = 0;
  int64_t steps_ = 0;
};

}  // namespace flexae
