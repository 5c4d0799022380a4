#include "core/training_step.h"

#include <ATen/ATen.h>

#include <cmath>

#include "core/augment.h"

namespace flexae {

TrainingStep::TrainingStep(const TrainerConfig& config, at::Device device)
    : config_(config),
      device_(device),
      precision_(resolve_precision(config.precision, device)),
      model_(config.model, config.seed, device, precision_),
      optimizer_(config.optimizer, config.learning_rate, model_.parameters()),
      metrics_(device) {}

void TrainingStep::train(const at::Tensor& bytes, const std::vector<int64_t>& indices,
                         int64_t epoch, int64_t batch) {
  const at::Tensor images = to_images(
      bytes,
      draw_flips(indices, config_.seed, epoch, config_.horizontal_flip, config_.vertical_flip));
  const uint64_t step = (static_cast<uint64_t>(epoch) << 32) + static_cast<uint64_t>(batch);
  const at::Tensor logits = model_.forward(images, config_.seed, step);
  at::Tensor grad;
  const at::Tensor loss = metrics_.add(logits, images, model_.penalties(), &grad);
  model_.backward(grad);
  const bool good_gradients = optimizer_.step(model_.gradients());
  model_.constrain();
  const bool good_loss = std::isfinite(loss.item<double>());
  if (!bad_ && !(good_loss && good_gradients)) bad_ = BadNumber{batch, good_loss};
}

void TrainingStep::evaluate(const at::Tensor& bytes) {
  const at::Tensor images = to_images(bytes);
  metrics_.add(model_.decode(model_.encode(images)), images, model_.penalties(), nullptr);
}

}  // namespace flexae
