#include "core/train/training_step.h"

#include <ATen/ATen.h>

#include <cmath>
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
      warning_(slow_layers_note(model_.slow_layers(), device)) {
  if (device.is_cpu()) return;
  tune_device(device);
  const char* graphs = std::getenv("FLEXAE_CUDA_GRAPH");
  const bool wanted = graphs == nullptr || std::string_view(graphs) != "0";
  device_step_ = std::make_unique<DeviceStep>(config_, model_, optimizer_, metrics_,
                                              wanted ? DeviceStep::Record(record_graph) : nullptr);
}

void TrainingStep::train(const at::Tensor& bytes, const std::vector<int64_t>& indices,
                         int64_t epoch, int64_t batch) {
  if (device_step_) return device_step_->train(bytes, indices, epoch, batch);
  const Value images = turn_over(bytes, draw_flips(indices, config_.seed, epoch,
                                                   config_.horizontal_flip, config_.vertical_flip))
                           .contiguous();
  const uint64_t step = (static_cast<uint64_t>(epoch) << 32) + static_cast<uint64_t>(batch);
  const Value logits = model_.forward(images, config_.seed, step);
  at::Tensor grad;
  const at::Tensor loss = metrics_.add(logits, images, model_.penalties(), &grad);
  model_.backward(grad);
  const bool good_gradients = optimizer_.step(model_.gradient_sources());
  model_.constrain();
  const bool good_loss = std::isfinite(loss.item<double>());
  if (!bad_ && !(good_loss && good_gradients)) bad_ = BadNumber{batch, good_loss};
}

std::optional<BadNumber> TrainingStep::bad_number() const {
  return device_step_ ? device_step_->bad_number() : bad_;
}

void TrainingStep::reset_bad_number() {
  bad_.reset();
  if (device_step_) device_step_->reset_bad_number();
}

std::string TrainingStep::take_warning() {
  std::string warning = std::exchange(warning_, {});
  const std::string of_device = device_step_ ? device_step_->take_warning() : std::string();
  if (!warning.empty() && !of_device.empty()) warning += "\n";
  return warning + of_device;
}

void TrainingStep::evaluate(const at::Tensor& bytes) {
  const at::Tensor images = to_images(bytes);
  metrics_.add(model_.decode(model_.encode(images)), images, model_.penalties(), nullptr);
}

}  // namespace flexae
