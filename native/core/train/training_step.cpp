#include "core/train/training_step.h"

#include <ATen/ATen.h>

#include <cstdlib>
#include <string_view>
#include <utility>

#include "core/device/device.h"
#include "core/model/layer_plan.h"
#include "core/tensor/scale_images.h"
#include "core/train/augment.h"

namespace flexae {

TrainingStep::TrainingStep(const TrainerConfig& config, at::Device device)
    : config_(config),
      device_(device),
      precision_(resolve_precision(config.precision, device)),
      model_(config.model, config.seed, device, precision_),
      optimizer_(config.optimizer, config.learning_rate, model_.parameters()),
      metrics_(device),
      recipe_(model_, optimizer_, metrics_),
      warning_(slow_layers_note(model_.slow_layers(), device)) {
  if (device.is_cpu()) return;
  tune_device(device);
  const char* graphs = std::getenv("FLEXAE_CUDA_GRAPH");
  const bool wanted = graphs == nullptr || std::string_view(graphs) != "0";
  device_step_ = std::make_unique<DeviceStep>(config_, model_, optimizer_, metrics_, recipe_,
                                              wanted ? DeviceStep::Record(record_graph) : nullptr);
}

void TrainingStep::train(const at::Tensor& bytes, const std::vector<int64_t>& indices,
                         int64_t epoch, int64_t batch) {
  if (device_step_) return device_step_->train(bytes, indices, epoch, batch);
  const Activations images =
      flip(bytes, sample_flips(indices, config_.seed, epoch, config_.horizontal_flip,
                               config_.vertical_flip))
          .contiguous();
  model_.sample(bytes.size(0), config_.seed, step_number(epoch, batch));
  recipe_.train({images, images}, {Optimizer::as_tensor(optimizer_.begin_step()),
                                   at::scalar_tensor(batch, at::kDouble)});
  metrics_.count(bytes.size(0), bytes.numel());
}

std::string TrainingStep::take_warning() {
  std::string warning = std::exchange(warning_, {});
  const std::string of_device = device_step_ ? device_step_->take_warning() : std::string();
  if (!warning.empty() && !of_device.empty()) warning += "\n";
  return warning + of_device;
}

void TrainingStep::evaluate(const at::Tensor& bytes) {
  const at::Tensor images = to_images(bytes);
  recipe_.evaluate({images, images});
}

}  // namespace flexae
