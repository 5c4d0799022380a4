#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/loss/bce.h"
#include "core/loss/metrics.h"
#include "core/optim/optimizer.h"
#include "core/train/training_step.h"
#include "test/core/gradients.h"

namespace flexae {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kMax = std::numeric_limits<float>::max();

constexpr OptimizerKind kOptimizers[] = {OptimizerKind::kSgd,     OptimizerKind::kRmsprop,
                                         OptimizerKind::kAdagrad, OptimizerKind::kAdadelta,
                                         OptimizerKind::kAdam,    OptimizerKind::kAdamw,
                                         OptimizerKind::kAdamax,  OptimizerKind::kNadam};

/// Whether a step finds its gradients finite; `value` is put into one of them. `strange` gives that
/// one a layout that the kernels do not take.
bool finds_finite(OptimizerKind kind, float value, bool strange) {
  // More than one stretch of the kernels' work.
  std::vector<at::Tensor> parameters{at::ones({7}), at::ones({300, 400})};
  std::vector<at::Tensor> gradients{at::full({7}, 0.5F), at::full({300, 400}, 0.25F)};
  if (strange) gradients[1] = at::full({400, 300}, 0.25F).t();
  gradients[1][299][399] = value;
  Optimizer optimizer(kind, 0.01, parameters);
  return test::step(optimizer, test::gradients(gradients));
}

TEST(NonFinite, EveryOptimizerFindsAGradientThatIsNotFinite) {
  for (const OptimizerKind kind : kOptimizers) {
    for (const bool strange : {false, true}) {
      SCOPED_TRACE(static_cast<int>(kind) * 10 + static_cast<int>(strange));
      EXPECT_TRUE(finds_finite(kind, -1e30F, strange));
      EXPECT_TRUE(finds_finite(kind, kMax, strange));
      EXPECT_FALSE(finds_finite(kind, kNan, strange));
      EXPECT_FALSE(finds_finite(kind, kInf, strange));
      EXPECT_FALSE(finds_finite(kind, -kInf, strange));
    }
  }
}

TrainerConfig small() {
  TrainerConfig config;
  config.model.height = config.model.width = 12;
  config.model.filters = {3};
  config.model.pooling = {Pooling::kAvg};
  config.model.kernel_size = {3};
  config.model.strides = {1};
  config.model.dims = {5};
  config.model.activation = Activation::kLinear;
  config.model.last_activation = Activation::kLinear;
  config.model.drop_rate = 0;
  config.device = "cpu";
  config.precision = "fp32";
  return config;
}

class Steps {
 public:
  explicit Steps(const TrainerConfig& config) : config_(config), step(config_, at::kCPU) {
    at::manual_seed(3);
    bytes_ = at::randint(256, {4, 12, 12, 1}, at::kByte);
  }
  void train(int64_t batch) { step.train(bytes_, {0, 1, 2, 3}, /*epoch=*/1, batch); }
  at::Tensor weight(const std::string& name) {
    for (const auto& [key, value] : step.model().state()) {
      if (key == name) return value;
    }
    throw Error(ErrorCode::kInternal, "no weight " + name);
  }

 private:
  c10::NoGradGuard no_grad_;
  TrainerConfig config_;
  at::Tensor bytes_;

 public:
  TrainingStep step;
};

TEST(NonFinite, OfALossIsReportedWithTheFirstSuchBatch) {
  for (const OptimizerKind kind : kOptimizers) {
    SCOPED_TRACE(static_cast<int>(kind));
    TrainerConfig config = small();
    config.optimizer = kind;
    config.learning_rate = 1e-3;
    Steps steps(config);
    steps.train(1);
    steps.train(2);
    EXPECT_FALSE(steps.step.non_finite().found());
    steps.weight("encoder.dense_0.weight")[0][0] = kNan;
    steps.train(3);
    steps.train(4);
    ASSERT_TRUE(steps.step.non_finite().found());
    EXPECT_EQ(steps.step.non_finite().found()->batch, 3);
    EXPECT_FALSE(steps.step.non_finite().found()->gradient);
    steps.step.non_finite().reset();
    EXPECT_FALSE(steps.step.non_finite().found());
    steps.train(5);
    ASSERT_TRUE(steps.step.non_finite().found());
    EXPECT_EQ(steps.step.non_finite().found()->batch, 5);
  }
}

TEST(NonFinite, OfAGradientIsReportedWhereTheLossIsFinite) {
  TrainerConfig config = small();
  config.optimizer = OptimizerKind::kSgd;
  config.learning_rate = 1e-3;
  Steps steps(config);
  // An embedding near the end of fp32 that the decoder makes small again: the outputs are ordinary,
  // but the gradient of the decoder's weight is the product of the embedding with a gradient that
  // the last normalization has made large.
  steps.weight("encoder.dense_0.weight").mul_(1e37);
  steps.weight("decoder.dense_0.weight").mul_(1e-37);
  steps.weight("decoder.deconv_end_bn.weight").fill_(1e8);
  steps.train(1);
  EXPECT_TRUE(std::isfinite(steps.step.metrics().values().loss));
  ASSERT_TRUE(steps.step.non_finite().found());
  EXPECT_EQ(steps.step.non_finite().found()->batch, 1);
  EXPECT_TRUE(steps.step.non_finite().found()->gradient);
  steps.train(2);
  EXPECT_EQ(steps.step.non_finite().found()->batch, 1);
}

TEST(Metrics, GoOnExactlyFromTheirState) {
  at::manual_seed(5);
  const auto batch = [](Metrics& metrics, int64_t n) {
    const at::Tensor logits = at::randn({n, 1, 5, 7});
    metrics.accumulate(kBinaryCrossEntropy.sums(logits, at::rand({n, 1, 5, 7}), nullptr), n,
                       at::rand({}));
    metrics.count(n, logits.numel());
  };
  Metrics whole(at::kCPU);
  batch(whole, 8);
  const at::Tensor state = whole.state();
  EXPECT_EQ(state.scalar_type(), at::kDouble);
  const at::Tensor kept = state.clone();
  const at::Generator& generator = at::globalContext().defaultGenerator(at::kCPU);
  const at::Tensor random = generator.get_state().clone();
  batch(whole, 3);
  EXPECT_TRUE(state.equal(kept)) << "a state is a copy";

  Metrics resumed(at::kCPU);
  batch(resumed, 4);
  resumed.restore(state);
  at::Generator(generator).set_state(random);
  batch(resumed, 3);
  EXPECT_TRUE(resumed.state().equal(whole.state()));
  EXPECT_EQ(resumed.values().loss, whole.values().loss);
  EXPECT_EQ(resumed.values().accuracy, whole.values().accuracy);
  EXPECT_EQ(resumed.values().mse, whole.values().mse);
}

TEST(Metrics, RefuseAStateThatIsNone) {
  Metrics metrics(at::kCPU);
  const at::Tensor state = metrics.state();
  metrics.restore(state);
  const auto with = [&](int64_t i, double value) {
    at::Tensor changed = state.clone();
    changed[i] = value;
    return changed;
  };
  for (const at::Tensor& bad : {at::Tensor(), state.to(at::kFloat), state.slice(0, 0, 5),
                                state.view({2, 3}), with(4, -1), with(5, 1e300), with(4, kNan)}) {
    try {
      metrics.restore(bad);
      ADD_FAILURE() << bad;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kModel);
    }
  }
}

}  // namespace
}  // namespace flexae
