#include "core/train/step_recipe.h"

#include "core/base/profile_scope.h"

namespace flexae {

StepRecipe::StepRecipe(Autoencoder& model, Optimizer& optimizer, Metrics& metrics)
    : model_(model),
      optimizer_(optimizer),
      metrics_(metrics),
      loss_(loss_of(model.config())),
      non_finite_(model.device()) {}

void StepRecipe::train(const Examples& examples, const StepInputs& inputs) {
  const Activations logits = model_.forward(examples.input);
  at::Tensor grad;
  at::Tensor loss;
  {
    const ProfileScope scope(ProfileScope::kStep, "loss and metrics");
    const at::Tensor sums = loss_.sums(logits, examples.target, &grad);
    loss = metrics_.accumulate(sums, logits.stored().size(0), model_.penalties());
  }
  model_.backward(grad);
  const at::Tensor finite = optimizer_.apply(model_.gradients(), inputs.scalars);
  model_.constrain();
  non_finite_.note(loss, finite, inputs.batch);
}

void StepRecipe::evaluate(const Examples& examples) {
  const at::Tensor logits = model_.decode(model_.encode(examples.input.materialize()));
  const at::Tensor sums = loss_.sums(logits, examples.target, nullptr);
  metrics_.accumulate(sums, logits.size(0), model_.penalties());
  metrics_.count(logits.size(0), logits.numel());
}

}  // namespace flexae
