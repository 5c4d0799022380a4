#include "core/train/training_step.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include "test/core/train/training_support.h"

namespace flexae {
namespace {

// The penalty used to be of the pass before: evaluated as an argument before the model had run.
TEST(TrainingStep, AnEvaluationsPenaltyIsOfItsOwnActivations) {
  const c10::NoGradGuard no_grad;
  at::manual_seed(8);
  TrainerConfig config = small_training();
  config.model.activity_regularizer = {.l1 = 0, .l2 = 0.1};
  TrainingStep step(config, at::kCPU);
  const at::Tensor dark = at::randint(40, {4, 13, 13, 1}, at::kByte);
  const at::Tensor light = at::randint(180, 256, {4, 13, 13, 1}, at::kByte);
  step.train(dark, {0, 1, 2, 3}, 1, 1);
  const auto loss = [&](const at::Tensor& bytes) {
    step.metrics().reset();
    step.evaluate(bytes);
    return step.metrics().values().loss;
  };
  const double after_training = loss(light);
  EXPECT_EQ(loss(light), after_training);
  EXPECT_NE(loss(dark), after_training);
  EXPECT_EQ(loss(light), after_training);
}

}  // namespace
}  // namespace flexae
