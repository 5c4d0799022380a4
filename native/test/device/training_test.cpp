#include <c10/core/StreamGuard.h>

#include <atomic>
#include <cmath>
#include <filesystem>
#include <memory>
#include <set>
#include <utility>

#include "../core/temporary_folder.h"
#include "../core/train/training_support.h"
#include "core/base/error.h"
#include "core/device/graph.h"
#include "core/tensor/scale_images.h"
#include "core/train/device_step.h"
#include "core/train/feed/device_feed.h"
#include "core/train/synthetic.h"
#include "core/train/trainer.h"
#include "core/train/training_step.h"
#include "support.h"
#include "test/core/training_pass.h"

namespace flexae {
namespace {

class DeviceTraining : public DeviceTest {};

/// Of the shape of the default network: strides, both kinds of padding, pooling, a dense part.
TrainerConfig shaped_as_default(const std::string& device) {
  TrainerConfig config;
  config.model.height = config.model.width = 64;
  config.model.filters = {16, 32, 64};
  config.model.pooling = {Pooling::kAvg, Pooling::kMax, Pooling::kNone};
  config.model.kernel_size = {5, 4, 3};
  config.model.strides = {2, 1, 2};
  config.model.dims = {100, 30};
  // Masks are drawn on the device, and devices draw differently.
  config.model.drop_rate = 0;
  config.batch_size = 16;
  config.precision = "fp32";
  config.device = device;
  return config;
}

std::vector<int64_t> in_order(int64_t n) {
  std::vector<int64_t> indices(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) indices[static_cast<size_t>(i)] = i;
  return indices;
}

/// The loss of each of `steps` batches.
std::vector<double> losses(const TrainerConfig& config, int64_t steps) {
  const at::Device device = resolve_device(config.device);
  TrainingStep step(config, device);
  at::globalContext().setAllowTF32CuDNN(false);
  at::globalContext().setAllowTF32CuBLAS(false);
  const at::Tensor images = synthetic_images(4 * config.batch_size, config.model.height,
                                             config.model.width, config.model.channels, 3)
                                .to(device);
  std::vector<double> losses;
  for (int64_t i = 0; i < steps; ++i) {
    step.metrics().reset();
    step.train(images.narrow(0, i % 4 * config.batch_size, config.batch_size),
               in_order(config.batch_size), 1, i + 1);
    losses.push_back(step.metrics().values().loss);
  }
  EXPECT_FALSE(step.non_finite().found());
  EXPECT_EQ(step.take_warning(), "");
  return losses;
}

TEST_F(DeviceTraining, FiftyStepsLoseWhatTheyLoseOnTheCpu) {
  for (const auto& [kind, rate] :
       {std::pair{OptimizerKind::kSgd, 0.05}, std::pair{OptimizerKind::kAdadelta, 0.2},
        std::pair{OptimizerKind::kAdam, 1e-4}}) {
    SCOPED_TRACE(static_cast<int>(kind));
    TrainerConfig config = shaped_as_default("cpu");
    config.optimizer = kind;
    config.learning_rate = rate;
    const std::vector<double> expected = losses(config, 50);
    config.device = test_device_name();
    const std::vector<double> got = losses(config, 50);
    double worst = 0;
    for (size_t i = 0; i < got.size(); ++i) {
      worst = std::max(worst, std::abs(got[i] - expected[i]) / expected[i]);
    }
    EXPECT_LT(worst, 1e-4);
    EXPECT_LT(got.back(), got.front());
    RecordProperty("worst_relative_difference_" + std::to_string(static_cast<int>(kind)),
                   std::to_string(worst));
  }
}

TEST_F(DeviceTraining, Bf16TrainsLikeFp32) {
  // The bounds of the CPU's own bf16: outputs within 2 %, gradients within 10 % where they matter.
  const at::Device device = test_device();
  TrainerConfig config = shaped_as_default(test_device_name());
  config.model.dims = {50};
  config.model.last_activation = Activation::kTanh;
  Autoencoder wide(config.model, 7, device, Precision::kFp32, /*stages=*/false);
  Autoencoder narrow(config.model, 7, device, Precision::kBf16, /*stages=*/false);
  const at::Tensor x = at::rand({9, 64, 64, 1}).permute({0, 3, 1, 2}).to(device);
  const at::Tensor expected = test::training_pass(wide, x, 7, 1).materialize();
  const at::Tensor got = test::training_pass(narrow, x, 7, 1).materialize();
  EXPECT_LT(distance(got, expected), 0.02);
  const at::Tensor grad = (at::rand_like(got) - 0.5) / static_cast<double>(got.numel());
  wide.backward(grad);
  narrow.backward(grad);
  const auto g1 = narrow.whole_gradients();
  const auto g2 = wide.whole_gradients();
  double largest = 0;
  for (const at::Tensor& g : g2) largest = std::max(largest, g.norm().item<double>());
  for (size_t i = 0; i < g1.size(); ++i) {
    EXPECT_EQ(g1[i].scalar_type(), at::kFloat);
    EXPECT_TRUE((g1[i] - g2[i]).norm().item<double>() < 1e-3 * largest ||
                distance(g1[i], g2[i]) < 0.1)
        << wide.parameter_names()[i] << " " << distance(g1[i], g2[i]);
  }
  config.precision = "bf16";
  const std::vector<double> bf16 = losses(config, 50);
  config.precision = "fp32";
  const std::vector<double> fp32 = losses(config, 50);
  EXPECT_NEAR(bf16.back(), fp32.back(), 0.02 * fp32.back());
}

/// Model, optimizer and metrics on the device, with the step that drives them.
struct Parts {
  Parts(const TrainerConfig& config, DeviceStep::Record record)
      : model(config.model, config.seed, test_device(), precision(config), /*stages=*/false),
        optimizer(config.optimizer, config.learning_rate, model.parameters()),
        metrics(test_device()),
        recipe(model, optimizer, metrics),
        step(config, model, optimizer, metrics, recipe, std::move(record)) {}
  static Precision precision(const TrainerConfig& config) {
    return resolve_precision(config.precision, test_device());
  }
  Autoencoder model;
  Optimizer optimizer;
  Metrics metrics;
  StepRecipe recipe;
  DeviceStep step;
};

/// Repeats what it was given where a device records nothing.
class Repeated : public DeviceGraph {
 public:
  explicit Repeated(std::function<void()> body) : body_(std::move(body)) {}
  void replay() override { body_(); }

 private:
  std::function<void()> body_;
};

std::unique_ptr<DeviceGraph> record(at::Device device, const std::function<void()>& body) {
  if (device.is_cpu()) return std::make_unique<Repeated>(body);
  return record_graph(device, body);
}

TEST_F(DeviceTraining, AGraphReplaysWhatIsSentOneByOne) {
  for (const char* precision : {"fp32", "bf16"}) {
    if (test_device().is_cpu() && std::string(precision) == "bf16") continue;
    SCOPED_TRACE(precision);
    TrainerConfig config = shaped_as_default(test_device_name());
    config.precision = precision;
    config.model.drop_rate = 0.3;
    config.model.kernel_regularizer = {.l1 = 1e-4, .l2 = 1e-4};
    config.model.activity_regularizer = {.l1 = 0, .l2 = 1e-3};
    config.model.kernel_constraint.kind = Constraint::Kind::kMaxNorm;
    config.optimizer = OptimizerKind::kNadam;
    config.learning_rate = 1e-3;
    Parts sent(config, nullptr);
    Parts replayed(config, record);
    const at::Tensor images = synthetic_images(64, 64, 64, 1, 5).to(test_device());
    for (int64_t epoch = 1; epoch <= 2; ++epoch) {
      for (int64_t i = 0; i < 5; ++i) {
        // The last batch of an epoch is short.
        const int64_t count = i < 4 ? config.batch_size : 5;
        const at::Tensor bytes = images.narrow(0, i % 4 * config.batch_size, count);
        std::vector<int64_t> indices = in_order(count);
        for (int64_t& index : indices) index += i * config.batch_size;
        for (Parts* parts : {&sent, &replayed}) parts->step.train(bytes, indices, epoch, i + 1);
      }
      sent.optimizer.set_learning_rate(5e-4);
      replayed.optimizer.set_learning_rate(5e-4);
    }
    EXPECT_EQ(replayed.step.take_warning(), "");
    EXPECT_FALSE(replayed.recipe.non_finite().found());
    bool same = true;
    const auto got = replayed.model.state();
    const auto expected = sent.model.state();
    for (size_t i = 0; i < got.size(); ++i) {
      same = same && got[i].second.equal(expected[i].second);
      EXPECT_LT(distance(got[i].second, expected[i].second), precision[0] == 'f' ? 1e-4 : 2e-2)
          << got[i].first;
    }
    EXPECT_NEAR(replayed.metrics.values().loss, sent.metrics.values().loss,
                1e-4 * sent.metrics.values().loss);
    std::cout << "  " << precision << ": " << (same ? "equal bit by bit" : "equal but for rounding")
              << '\n';
  }
}

/// Image i is filled with i; some cannot be read.
class Numbered : public BatchSource {
 public:
  static constexpr int64_t kImages = 211;
  [[nodiscard]] int64_t size() const override { return kImages; }
  void start(std::vector<int64_t> order, int64_t batch_size) override {
    ++starts;
    order_ = std::move(order);
    batch_ = static_cast<size_t>(batch_size);
    position_ = 0;
  }
  bool next(Batch& batch) override {
    if (position_ >= order_.size()) return false;
    const size_t end = std::min(order_.size(), position_ + batch_);
    batch.indices.clear();
    for (; position_ < end; ++position_) {
      if (order_[position_] % 50 != 7) batch.indices.push_back(order_[position_]);
    }
    const auto count = static_cast<int64_t>(batch.indices.size());
    batch.images = at::empty({count, 64, 65, 1}, at::kByte);
    for (int64_t i = 0; i < count; ++i) {
      batch.images[i].fill_(batch.indices[static_cast<size_t>(i)]);
    }
    return true;
  }
  int starts = 0;

 private:
  std::vector<int64_t> order_;
  size_t batch_ = 1;
  size_t position_ = 0;
};

TEST_F(DeviceTraining, TheFeedGivesEachImageOnceFromTheSourceAndFromTheResidentSet) {
  for (const int64_t resident : {int64_t{0}, int64_t{1} << 30}) {
    Numbered source;
    DeviceFeed feed(source, test_device(), resident);
    for (int64_t pass = 1; pass <= 4; ++pass) {
      std::vector<int64_t> order(Numbered::kImages);
      for (size_t i = 0; i < order.size(); ++i) {
        order[i] = static_cast<int64_t>(i) * (2 * pass + 1) % Numbered::kImages;
      }
      feed.start(order, 16);
      DeviceFeed::Item item;
      std::set<int64_t> seen;
      int64_t batches = 0;
      while (feed.next(item)) {
        EXPECT_EQ(item.batch, ++batches);
        EXPECT_EQ(item.images.device(), test_device());
        const at::Tensor indices = at::tensor(item.indices, at::kLong).to(test_device());
        EXPECT_TRUE(item.images.eq(indices.view({-1, 1, 1, 1})).all().item<bool>());
        seen.insert(item.indices.begin(), item.indices.end());
        // An abandoned pass must not disturb the next.
        if (pass == 1 && batches == 3) break;
      }
      if (pass > 1) {
        EXPECT_EQ(seen.size(), 206U);
      }
    }
    EXPECT_EQ(source.starts, resident == 0 ? 4 : 2);
  }
}

TEST_F(DeviceTraining, TheWholeTrainerTrainsAndSaysNothing) {
  const TemporaryFolder folder;
  TrainerConfig config = small_training();
  config.device = test_device_name();
  config.model.drop_rate = 0.2;
  // Behind two poolings, one upsampling follows another, and the first has no fast path.
  config.model.pooling = {Pooling::kMax, Pooling::kNone};
  config.run_dir = folder.path("");
  config.epochs = 6;
  Squares train_set(83, config.model.height, 1);
  Squares valid_set(20, config.model.height, 2);
  train_set.unreadable = {3, 40};
  Recorder recorder;
  const std::atomic<bool> cancel{false};
  const TrainingResult result =
      train(config, train_set, valid_set, default_exporters(), recorder, cancel);
  EXPECT_EQ(result.epochs, 6);
  EXPECT_TRUE(recorder.warnings.empty()) << recorder.warnings.front();
  EXPECT_LT(recorder.epochs.back().train.loss, recorder.epochs.front().train.loss);
  EXPECT_TRUE(std::filesystem::exists(folder.path("en.pt")));
  // A GPU keeps the set, so the source is asked in the first epoch alone.
  if (!test_device().is_cpu()) {
    EXPECT_EQ(train_set.orders.size(), 1U);
  }
}

/// Trains to `epochs` in a folder, from its last checkpoint if there is one.
std::vector<double> train_to(const TemporaryFolder& folder, int64_t epochs,
                             const std::string& device) {
  TrainerConfig config = small_training();
  config.precision = "fp32";
  config.device = device;
  config.epochs = epochs;
  // Masks are drawn on the device, and devices draw differently.
  config.model.drop_rate = 0;
  config.run_dir = folder.path("");
  if (std::filesystem::exists(folder.path("last.ckpt"))) {
    config.resume_from = folder.path("last.ckpt");
  }
  Squares train_set(30, config.model.height, 1);
  Squares valid_set(10, config.model.height, 2);
  Recorder recorder;
  const std::atomic<bool> cancel{false};
  (void)train(config, train_set, valid_set, default_exporters(), recorder, cancel);
  std::vector<double> losses;
  for (const EpochReport& epoch : recorder.epochs) losses.push_back(epoch.train.loss);
  return losses;
}

TEST_F(DeviceTraining, GoesOnFromTheCpusCheckpointAndBack) {
  const TemporaryFolder whole;
  const std::vector<double> expected = train_to(whole, 9, "cpu");
  const TemporaryFolder folder;
  std::vector<double> got;
  for (const auto& [epochs, device] :
       {std::pair{3, std::string("cpu")}, std::pair{6, test_device_name()},
        std::pair{9, std::string("cpu")}}) {
    const std::vector<double> part = train_to(folder, epochs, device);
    got.insert(got.end(), part.begin(), part.end());
  }
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    // The trainer lets the device take TF32; what comes before is the CPU's own.
    EXPECT_NEAR(got[i], expected[i], (i < 3 ? 1e-12 : 5e-3) * expected[i]) << "epoch " << i + 1;
  }
}

TEST_F(DeviceTraining, OutOfMemoryIsAnErrorAndLeavesTheDeviceUsable) {
  if (test_device().is_cpu()) {
    GTEST_SKIP() << "a CPU's memory ends by the system's killing of the process";
  }
  TrainerConfig config = shaped_as_default(test_device_name());
  config.model.height = config.model.width = 256;
  config.model.filters = {512, 64};
  config.model.pooling = {Pooling::kNone, Pooling::kNone};
  config.model.kernel_size = {3, 3};
  config.model.strides = {1, 2};
  config.model.dims = {8};
  config.batch_size = 8192;
  try {
    TrainingStep step(config, test_device());
    const at::Tensor bytes = at::zeros({config.batch_size, 256, 256, 1},
                                       at::TensorOptions().dtype(at::kByte).device(test_device()));
    step.train(bytes, in_order(config.batch_size), 1, 1);
    FAIL() << "the first convolution alone writes 1.1 TB";
  } catch (const c10::OutOfMemoryError&) {
    // What the addon turns into its advice; see native/addon/errors.cpp.
  }
  at::accelerator::emptyCache();
  config = shaped_as_default(test_device_name());
  EXPECT_TRUE(std::isfinite(losses(config, 4).back()));
}

}  // namespace
}  // namespace flexae
