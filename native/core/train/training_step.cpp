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

TrainingStep::TrainingStep(const TrainerConfig& config, at::Device device,
                           Communicator& communicator)
    : config_(config),
      communicator_(communicator),
      device_(device),
      precision_(resolve_precision(config.precision, device)),
      model_(config.model, config.seed, device, precision_),
      optimizer_(config.optimizer, config.learning_rate, model_.parameters()),
      metrics_(device),
      recipe_(model_, optimizer_, metrics_, communicator),
      warning_(slow_layers_note(model_.slow_layers(), device)) {
  if (!communicator.is_alone() && config.sync_batch_norm) model_.share_statistics(communicator);
  if (device.is_cpu()) return;
  tune_device(device);
  const char* graphs = std::getenv("FLEXAE_CUDA_GRAPH");
  // Sums over processes go by the host, which a graph cannot hold.
  const bool wanted =
      (graphs == nullptr || std::string_view(graphs) != "0") && communicator.is_alone();
  device_step_ = std::make_unique<DeviceStep>(config_, model_, optimizer_, metrics_, recipe_,
                                              wanted ? DeviceStep::Record(record_graph) : nullptr);
}

void TrainingStep::train(const at::Tensor& bytes, const std::vector<int64_t>& indices,
                         int64_t epoch, int64_t batch) {
  train(bytes, indices, epoch, batch, bytes.size(0));
}

void TrainingStep::train(const at::Tensor& bytes, const std::vector<int64_t>& indices,
                         int64_t epoch, int64_t batch, const Share& share) {
  if (device_step_) return device_step_->train(bytes, indices, epoch, batch, share);
  const Activations images =
      flip(bytes, sample_flips(indices, config_.seed, epoch, config_.horizontal_flip,
                               config_.vertical_flip))
          .contiguous();
  model_.sample(share, config_.seed, step_number(epoch, batch));
  recipe_.train({images, images}, {Optimizer::as_tensor(optimizer_.begin_step()),
                                   at::scalar_tensor(batch, at::kDouble)});
  const ModelConfig& m = config_.model;
  metrics_.count(share.whole, share.whole * m.height * m.width * m.channels);
}

void TrainingStep::begin_as_rank_0() {
  if (communicator_.is_alone()) return;
  // A view in the parameter's own order would not be contiguous.
  for (const auto& [name, value] : model_.state()) {
    const at::Tensor plain = value.contiguous();
    communicator_.broadcast(plain);
    if (!plain.is_same(value)) at::Tensor(value).copy_(plain);
  }
}

void TrainingStep::settle() {
  if (communicator_.is_alone() || config_.sync_batch_norm) return;
  for (at::Tensor& value : model_.buffers()) {
    communicator_.sum(value);
    value.div_(communicator_.size());
  }
}

void TrainingStep::share_metrics() {
  if (communicator_.is_alone()) return;
  const at::Tensor state = metrics_.state();
  communicator_.sum(state);
  metrics_.restore(state);
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
