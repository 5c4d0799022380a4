#include "core/train/device_step.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/record_function.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/loss/bce.h"
#include "core/tensor/scale_images.h"
#include "core/train/augment.h"
#include "core/train/training_step.h"
#include "test/core/gradients.h"
#include "test/core/training_pass.h"

// A CPU runs here what is written for an accelerator: the same operations on the same fixed memory.

namespace flexae {
namespace {

constexpr int64_t kBatch = 5;

/// Images this small are not worth a second thread.
class DeviceStepTest : public testing::Test {
 protected:
  void SetUp() override { at::set_num_threads(1); }
  void TearDown() override { at::set_num_threads(threads_); }

 private:
  int threads_ = at::get_num_threads();
  c10::NoGradGuard no_grad_;
};

/// Everything that a step has: dropout, both flips, penalties on weights and activities,
/// constraints, a batch normalization behind dense layers.
TrainerConfig small() {
  TrainerConfig config;
  config.model.height = 14;
  config.model.width = 11;
  config.model.channels = 3;
  config.model.filters = {4, 6};
  config.model.pooling = {Pooling::kAvg, Pooling::kMax};
  config.model.kernel_size = {3, 4};
  config.model.strides = {1, 2};
  config.model.dims = {12, 7};
  config.model.drop_rate = 0.3;
  config.model.kernel_regularizer = {.l1 = 1e-3, .l2 = 1e-3};
  config.model.cnn_kernel_regularizer = {.l1 = 0, .l2 = 1e-2};
  config.model.activity_regularizer = {.l1 = 0, .l2 = 1e-3};
  config.model.kernel_constraint.kind = Constraint::Kind::kMaxNorm;
  config.model.kernel_constraint.max_value = 1.5;
  config.batch_size = kBatch;
  config.learning_rate = 0.01;
  config.device = "cpu";
  config.precision = "fp32";
  return config;
}

/// Made of single layers and operators, as on an accelerator.
struct Parts {
  explicit Parts(const TrainerConfig& config)
      : model(config.model, config.seed, at::kCPU, Precision::kFp32, /*stages=*/false),
        optimizer(config.optimizer, config.learning_rate, model.parameters(), /*by_kernels=*/false),
        metrics(at::kCPU),
        recipe(model, optimizer, metrics) {}
  Autoencoder model;
  Optimizer optimizer;
  Metrics metrics;
  StepRecipe recipe;
};

struct Given {
  at::Tensor bytes;
  std::vector<int64_t> indices;
};

/// The batches of an epoch: six whole ones and a short one.
std::vector<Given> epoch() {
  at::manual_seed(17);
  std::vector<Given> batches;
  for (int64_t batch = 0; batch < 7; ++batch) {
    const int64_t images = batch < 6 ? kBatch : 2;
    Given given{at::randint(256, {images, 14, 11, 3}, at::kByte), {}};
    for (int64_t i = 0; i < images; ++i) given.indices.push_back(batch * kBatch + i);
    batches.push_back(given);
  }
  return batches;
}

/// A step as it is written down nowhere else: operation by operation, nothing prepared.
void plain_step(const TrainerConfig& config, Parts& parts, const Given& given, int64_t epoch,
                int64_t batch) {
  const at::Tensor x =
      to_images(flip(given.bytes, sample_flips(given.indices, config.seed, epoch,
                                               config.horizontal_flip, config.vertical_flip)));
  const Activations logits =
      test::training_pass(parts.model, x, config.seed,
                          (static_cast<uint64_t>(epoch) << 32) + static_cast<uint64_t>(batch));
  at::Tensor grad;
  const at::Tensor sums = kBinaryCrossEntropy.sums(logits, x, &grad);
  parts.metrics.accumulate(sums, x.size(0), parts.model.penalties());
  parts.metrics.count(x.size(0), x.numel());
  parts.model.backward(grad);
  test::step(parts.optimizer, parts.model.gradients());
  parts.model.constrain();
}

void expect_same(const Parts& a, const Parts& b) {
  const auto got = a.model.state();
  const auto expected = b.model.state();
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_TRUE(got[i].second.equal(expected[i].second)) << got[i].first;
  }
  const auto& slots = a.optimizer.slots();
  for (size_t k = 0; k < slots.size(); ++k) {
    for (size_t i = 0; i < slots[k].size(); ++i) {
      EXPECT_TRUE(slots[k][i].equal(b.optimizer.slots()[k][i])) << k << " " << i;
    }
  }
  EXPECT_EQ(a.optimizer.iterations(), b.optimizer.iterations());
  EXPECT_TRUE(a.metrics.state().equal(b.metrics.state()));
}

/// Two epochs, the second at another learning rate.
template <typename Train>
void train_all(Parts& parts, Train train) {
  const std::vector<Given> batches = epoch();
  for (int64_t epoch = 1; epoch <= 2; ++epoch) {
    parts.metrics.reset();
    for (size_t i = 0; i < batches.size(); ++i) {
      train(batches[i], epoch, static_cast<int64_t>(i) + 1);
    }
    parts.optimizer.set_learning_rate(0.005);
  }
}

constexpr OptimizerKind kOptimizers[] = {OptimizerKind::kSgd,     OptimizerKind::kRmsprop,
                                         OptimizerKind::kAdagrad, OptimizerKind::kAdadelta,
                                         OptimizerKind::kAdam,    OptimizerKind::kAdamw,
                                         OptimizerKind::kAdamax,  OptimizerKind::kNadam};

TEST_F(DeviceStepTest, ComputesWhatThePlainStepComputes) {
  for (const OptimizerKind kind : kOptimizers) {
    SCOPED_TRACE(static_cast<int>(kind));
    TrainerConfig config = small();
    config.optimizer = kind;
    Parts plain(config);
    train_all(plain, [&](const Given& given, int64_t epoch, int64_t batch) {
      plain_step(config, plain, given, epoch, batch);
    });
    Parts parts(config);
    DeviceStep step(config, parts.model, parts.optimizer, parts.metrics, parts.recipe, nullptr);
    train_all(parts, [&](const Given& given, int64_t epoch, int64_t batch) {
      step.train(given.bytes, given.indices, epoch, batch);
    });
    expect_same(parts, plain);
    EXPECT_FALSE(parts.recipe.non_finite().found());
    EXPECT_EQ(step.take_warning(), "");
  }
}

TEST_F(DeviceStepTest, WithoutFlipsDropoutPenalties) {
  TrainerConfig config = small();
  config.model.drop_rate = 0;
  config.model.kernel_regularizer = config.model.cnn_kernel_regularizer =
      config.model.activity_regularizer = {};
  config.model.kernel_constraint = {};
  config.optimizer = OptimizerKind::kAdadelta;
  for (const bool horizontal : {false, true}) {
    config.horizontal_flip = horizontal;
    config.vertical_flip = !horizontal;
    Parts plain(config);
    train_all(plain, [&](const Given& given, int64_t epoch, int64_t batch) {
      plain_step(config, plain, given, epoch, batch);
    });
    Parts parts(config);
    DeviceStep step(config, parts.model, parts.optimizer, parts.metrics, parts.recipe, nullptr);
    train_all(parts, [&](const Given& given, int64_t epoch, int64_t batch) {
      step.train(given.bytes, given.indices, epoch, batch);
    });
    expect_same(parts, plain);
  }
}

/// Runs again what it has recorded. Recording runs nothing, as on a device.
class Replayed : public DeviceGraph {
 public:
  Replayed(std::function<void()> body, int& replays) : body_(std::move(body)), replays_(replays) {}
  void replay() override {
    ++replays_;
    body_();
  }

 private:
  std::function<void()> body_;
  int& replays_;
};

TEST_F(DeviceStepTest, RepeatsWhatItRecordedForWholeBatchesOnly) {
  TrainerConfig config = small();
  config.optimizer = OptimizerKind::kNadam;
  Parts sent(config);
  DeviceStep one_by_one(config, sent.model, sent.optimizer, sent.metrics, sent.recipe, nullptr);
  train_all(sent, [&](const Given& given, int64_t epoch, int64_t batch) {
    one_by_one.train(given.bytes, given.indices, epoch, batch);
  });

  int recordings = 0;
  int replays = 0;
  Parts parts(config);
  DeviceStep step(config, parts.model, parts.optimizer, parts.metrics, parts.recipe,
                  [&](at::Device, const std::function<void()>& body) {
                    ++recordings;
                    return std::make_unique<Replayed>(body, replays);
                  });
  train_all(parts, [&](const Given& given, int64_t epoch, int64_t batch) {
    step.train(given.bytes, given.indices, epoch, batch);
  });
  EXPECT_EQ(recordings, 1);
  EXPECT_EQ(replays, 4 + 6);
  expect_same(parts, sent);
  EXPECT_EQ(step.take_warning(), "");
}

TEST_F(DeviceStepTest, GoesOnWhereRecordingFailsAndSaysSoOnce) {
  const TrainerConfig config = small();
  Parts sent(config);
  DeviceStep one_by_one(config, sent.model, sent.optimizer, sent.metrics, sent.recipe, nullptr);
  train_all(sent, [&](const Given& given, int64_t epoch, int64_t batch) {
    one_by_one.train(given.bytes, given.indices, epoch, batch);
  });

  int recordings = 0;
  Parts parts(config);
  DeviceStep step(config, parts.model, parts.optimizer, parts.metrics, parts.recipe,
                  [&](at::Device, const std::function<void()>&) -> std::unique_ptr<DeviceGraph> {
                    ++recordings;
                    throw std::runtime_error("operation not permitted\nmore of it");
                  });
  train_all(parts, [&](const Given& given, int64_t epoch, int64_t batch) {
    step.train(given.bytes, given.indices, epoch, batch);
  });
  EXPECT_EQ(recordings, 1);
  expect_same(parts, sent);
  const std::string warning = step.take_warning();
  EXPECT_NE(warning.find("(operation not permitted)"), std::string::npos) << warning;
  EXPECT_EQ(step.take_warning(), "");
}

TEST_F(DeviceStepTest, ComputeTakesNothingButWhatWasPrepared) {
  const TrainerConfig config = small();
  Parts sent(config);
  DeviceStep reference(config, sent.model, sent.optimizer, sent.metrics, sent.recipe, nullptr);
  Parts parts(config);
  DeviceStep step(config, parts.model, parts.optimizer, parts.metrics, parts.recipe, nullptr);
  std::vector<Given> batches = epoch();
  for (int64_t batch = 1; batch <= 3; ++batch) {
    Given& given = batches[static_cast<size_t>(batch)];
    reference.train(given.bytes, given.indices, 1, batch);
    step.prepare(given.bytes, given.indices, 1, batch);
    given.bytes.fill_(7);
    parts.optimizer.set_learning_rate(1e9);
    step.compute(kBatch);
    parts.metrics.count(kBatch, given.bytes.numel());
    parts.optimizer.set_learning_rate(config.learning_rate);
  }
  expect_same(parts, sent);
}

/// Names of the operations that run while it lives.
class Operations {
 public:
  Operations() {
    seen().clear();
    handle_ = at::addThreadLocalCallback(at::RecordFunctionCallback(
        [](const at::RecordFunction& f) -> std::unique_ptr<at::ObserverContext> {
          seen().insert(f.name());
          return nullptr;
        }));
  }
  ~Operations() { at::removeCallback(handle_); }
  static std::set<std::string>& seen() {
    static std::set<std::string> names;
    return names;
  }

 private:
  at::CallbackHandle handle_{};
};

TEST_F(DeviceStepTest, NoOperationOfAStepReadsAValueBack) {
  const std::vector<Given> batches = epoch();
  for (const OptimizerKind kind : kOptimizers) {
    SCOPED_TRACE(static_cast<int>(kind));
    TrainerConfig config = small();
    config.optimizer = kind;
    Parts parts(config);
    DeviceStep step(config, parts.model, parts.optimizer, parts.metrics, parts.recipe, nullptr);
    const Operations operations;
    step.train(batches[0].bytes, batches[0].indices, 1, 1);
    const std::set<std::string>& seen = Operations::seen();
    EXPECT_TRUE(seen.contains("aten::convolution_backward")) << "operations are observed";
    for (const char* name :
         {"aten::item", "aten::_local_scalar_dense", "aten::is_nonzero", "aten::nonzero",
          "aten::equal", "aten::masked_select", "aten::allclose", "aten::_unique2"}) {
      EXPECT_FALSE(seen.contains(name)) << name;
    }
  }
}

at::Tensor weight(Parts& parts, const std::string& name) {
  for (const auto& [key, value] : parts.model.state()) {
    if (key == name) return value;
  }
  throw Error(ErrorCode::kInternal, "no weight " + name);
}

TEST_F(DeviceStepTest, KeepsTheFirstBadBatch) {
  const TrainerConfig config = small();
  const std::vector<Given> batches = epoch();
  Parts parts(config);
  DeviceStep step(config, parts.model, parts.optimizer, parts.metrics, parts.recipe, nullptr);
  const auto train = [&](int64_t batch) {
    step.train(batches[0].bytes, batches[0].indices, 1, batch);
  };
  train(1);
  EXPECT_FALSE(parts.recipe.non_finite().found());
  weight(parts, "encoder.dense_0.weight").fill_(std::numeric_limits<float>::quiet_NaN());
  train(2);
  train(3);
  ASSERT_TRUE(parts.recipe.non_finite().found());
  EXPECT_EQ(parts.recipe.non_finite().found()->batch, 2);
  EXPECT_FALSE(parts.recipe.non_finite().found()->gradient);
  parts.recipe.non_finite().reset();
  EXPECT_FALSE(parts.recipe.non_finite().found());
  train(400000001);
  EXPECT_EQ(parts.recipe.non_finite().found()->batch, 400000001);
}

TEST_F(DeviceStepTest, ABadGradientIsToldFromABadLoss) {
  TrainerConfig config = small();
  config.model.activation = config.model.last_activation = Activation::kLinear;
  config.model.kernel_regularizer = config.model.activity_regularizer = {};
  config.model.kernel_constraint = {};
  config.model.dims = {7};
  config.model.drop_rate = 0;
  Parts parts(config);
  DeviceStep step(config, parts.model, parts.optimizer, parts.metrics, parts.recipe, nullptr);
  // See NonFinite's test of the same.
  weight(parts, "encoder.dense_0.weight").mul_(1e37);
  weight(parts, "decoder.dense_0.weight").mul_(1e-37);
  weight(parts, "decoder.deconv_end_bn.weight").fill_(1e8);
  const Given given = epoch()[0];
  step.train(given.bytes, given.indices, 1, 9);
  EXPECT_TRUE(std::isfinite(parts.metrics.values().loss));
  ASSERT_TRUE(parts.recipe.non_finite().found());
  EXPECT_EQ(parts.recipe.non_finite().found()->batch, 9);
  EXPECT_TRUE(parts.recipe.non_finite().found()->gradient);
}

TEST_F(DeviceStepTest, RefusesABatchLargerThanItsMemory) {
  const TrainerConfig config = small();
  Parts parts(config);
  DeviceStep step(config, parts.model, parts.optimizer, parts.metrics, parts.recipe, nullptr);
  EXPECT_THROW(step.train(at::zeros({kBatch + 1, 14, 11, 3}, at::kByte), {0, 1, 2, 3, 4, 5}, 1, 1),
               Error);
}

TEST(DeviceGraph, ACpuRecordsNothing) {
  bool ran = false;
  EXPECT_THROW(record_graph(at::kCPU, [&] { ran = true; }), std::exception);
  EXPECT_FALSE(ran);
}

}  // namespace
}  // namespace flexae
