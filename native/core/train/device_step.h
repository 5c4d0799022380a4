#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Stream.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/device/graph.h"
#include "core/loss/metrics.h"
#include "core/model/autoencoder.h"
#include "core/optim/optimizer.h"
#include "core/train/step_recipe.h"
#include "core/train/trainer_config.h"

namespace flexae {

/// A training step for a device that works behind the host's back. It has two halves: prepare()
/// writes what differs from step to step into memory that stays where it is, compute() is device
/// work alone. So the device can record compute() for whole batches and repeat it as one; the
/// first steps, short batches, and all of them where recording fails, are sent one by one. Runs
/// on a stream of its own, in the order of the stream that is current when train() is called.
class DeviceStep {
 public:
  /// Everything given must outlive the object. `record`: record_graph(), unless something else is
  /// to be tried; null to send all steps one by one.
  using Record =
      std::function<std::unique_ptr<DeviceGraph>(at::Device, const std::function<void()>&)>;
  DeviceStep(const TrainerConfig& config, Autoencoder& model, Optimizer& optimizer,
             Metrics& metrics, StepRecipe& recipe, Record record);

  /// As TrainingStep::train().
  void train(const at::Tensor& bytes, const std::vector<int64_t>& indices, int64_t epoch,
             int64_t batch, const Share& share);
  void train(const at::Tensor& bytes, const std::vector<int64_t>& indices, int64_t epoch,
             int64_t batch) {
    train(bytes, indices, epoch, batch, bytes.size(0));
  }

  /// The halves. `bytes`: uint8 N×H×W×C on the device, at most a batch of them; compute() takes
  /// the first `images` of what was prepared.
  void prepare(const at::Tensor& bytes, const std::vector<int64_t>& indices, int64_t epoch,
               int64_t batch, const Share& share);
  void prepare(const at::Tensor& bytes, const std::vector<int64_t>& indices, int64_t epoch,
               int64_t batch) {
    prepare(bytes, indices, epoch, batch, bytes.size(0));
  }
  void compute(int64_t images);

  /// Why steps are sent one by one, once; "" otherwise.
  std::string take_warning();

 private:
  void step(const at::Tensor& bytes, const std::vector<int64_t>& indices, int64_t epoch,
            int64_t batch, const Share& share);
  bool recorded();

  const TrainerConfig& config_;
  Autoencoder& model_;
  Optimizer& optimizer_;
  Metrics& metrics_;
  StepRecipe& recipe_;
  at::Device device_;
  std::optional<c10::Stream> stream_;

  at::Tensor bytes_;   ///< The batch.
  at::Tensor inputs_;  ///< fp64: the optimizer's scalars, the batch's number, the flips.

  int64_t whole_batches_ = 0;
  Record record_;  ///< Null once it has been tried.
  std::unique_ptr<DeviceGraph> graph_;
  std::string warning_;
};

}  // namespace flexae
