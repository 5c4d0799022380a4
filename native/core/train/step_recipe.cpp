#include "core/train/step_recipe.h"

#include "core/base/profile_scope.h"

namespace flexae {

StepRecipe::StepRecipe(Autoencoder& model, Optimizer& optimizer, Metrics& metrics,
                       Communicator& communicator)
    : model_(model),
      optimizer_(optimizer),
      metrics_(metrics),
      communicator_(communicator),
      loss_(loss_of(model.config())),
      non_finite_(model.device()) {
  if (communicator.is_alone()) return;
  int64_t values = 0;
  for (const at::Tensor& parameter : model.parameters()) values += parameter.numel();
  reducer_ = std::make_unique<GradientReducer>(communicator, values, model.device());
}

void StepRecipe::train(const Examples& examples, const StepInputs& inputs) {
  if (reducer_) return train_shared(examples, inputs);
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

/// Loss and gradients are of all processes' images, so that each makes the same step and sees the
/// same numbers.
void StepRecipe::train_shared(const Examples& examples, const StepInputs& inputs) {
  reducer_->begin();
  const Activations logits = model_.forward(examples.input);
  at::Tensor grad;
  at::Tensor part;
  {
    const ProfileScope scope(ProfileScope::kStep, "loss and metrics");
    const Share& share = model_.share();
    const at::Tensor sums = loss_.sums(logits, examples.target, &grad, share.whole);
    part = metrics_.part(sums, share.images, model_.penalties());
  }
  const auto scores = communicator_.start_sum(part, Communicator::Lane::kQuick);
  model_.differentiate(grad, [this](std::vector<Parameter>& all) { reducer_->add(all); });
  {
    const ProfileScope scope(ProfileScope::kStep, "wait for other processes");
    scores->wait();
    reducer_->finish();
  }
  model_.regularize();
  const at::Tensor loss = metrics_.add(part);
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
