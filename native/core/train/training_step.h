#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/device/precision.h"
#include "core/loss/metrics.h"
#include "core/model/autoencoder.h"
#include "core/optim/optimizer.h"
#include "core/train/device_step.h"
#include "core/train/step_recipe.h"
#include "core/train/trainer_config.h"

namespace flexae {

/// A model with its optimizer: what one batch does to them. Everything random follows from the seed
/// and from where the batch stands, so a run can be repeated or resumed anywhere.
class TrainingStep {
 public:
  /// `config` and `communicator` must outlive the object.
  TrainingStep(const TrainerConfig& config, at::Device device,
               Communicator& communicator = Communicator::alone());
  TrainingStep(const TrainingStep&) = delete;
  TrainingStep& operator=(const TrainingStep&) = delete;

  /// One update from bytes N×H×W×C on the device. `indices`: of the images in their source (see
  /// Batch). Adds the batch to metrics(). Of several processes, each gives its share.
  void train(const at::Tensor& bytes, const std::vector<int64_t>& indices, int64_t epoch,
             int64_t batch);
  void train(const at::Tensor& bytes, const std::vector<int64_t>& indices, int64_t epoch,
             int64_t batch, const Share& share);
  /// Adds a batch to metrics() in evaluation mode.
  void evaluate(const at::Tensor& bytes);

  /// Makes weights everywhere rank 0's, as a training begins.
  void begin_as_rank_0();
  /// Makes everywhere the same what processes keep for themselves while they train: moving
  /// statistics, where each has its own batches'.
  void settle();
  /// Adds up metrics() of images that were evaluated, over all processes.
  void share_metrics();

  /// The first batch whose numbers were not finite. Current after every train().
  NonFiniteWatch& non_finite() { return recipe_.non_finite(); }

  /// What has become worth telling whoever trains, once; "" if nothing has.
  std::string take_warning();

  Autoencoder& model() { return model_; }
  Optimizer& optimizer() { return optimizer_; }
  Metrics& metrics() { return metrics_; }
  [[nodiscard]] at::Device device() const { return device_; }
  [[nodiscard]] Precision precision() const { return precision_; }

 private:
  const TrainerConfig& config_;
  Communicator& communicator_;
  at::Device device_;
  Precision precision_;
  Autoencoder model_;
  Optimizer optimizer_;
  Metrics metrics_;
  StepRecipe recipe_;
  std::string warning_;                      ///< Not taken yet.
  std::unique_ptr<DeviceStep> device_step_;  ///< Null on the CPU.
};

}  // namespace flexae
