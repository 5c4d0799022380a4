#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/random.h"
#include "core/train/feed/batch_source.h"
#include "core/train/trainer.h"

namespace flexae {

/// Images in memory: random squares, so that there is something to learn.
class Squares : public BatchSource {
 public:
  Squares(int64_t count, int64_t side, uint64_t seed)
      : images_(at::zeros({count, side, side, 1}, at::kByte)) {
    for (int64_t i = 0; i < count; ++i) {
      const uint64_t bits = random_bits(seed, RandomPurpose::kSample, static_cast<uint64_t>(i));
      const auto y = static_cast<int64_t>(bits % static_cast<uint64_t>(side / 2));
      const auto x = static_cast<int64_t>((bits >> 20) % static_cast<uint64_t>(side / 2));
      images_[i].slice(0, y, y + side / 3).slice(1, x, x + side / 3).fill_(255);
    }
  }
  [[nodiscard]] int64_t size() const override { return images_.size(0); }
  void start(std::vector<int64_t> order, int64_t batch_size) override {
    order_ = std::move(order);
    orders.push_back(order_);
    batch_ = static_cast<size_t>(batch_size);
    position_ = 0;
  }
  bool next(Batch& batch) override {
    if (position_ >= order_.size()) return false;
    const size_t end = std::min(order_.size(), position_ + batch_);
    batch.indices.assign(order_.begin() + static_cast<ptrdiff_t>(position_),
                         order_.begin() + static_cast<ptrdiff_t>(end));
    std::erase_if(batch.indices, [this](int64_t i) {
      return std::find(unreadable.begin(), unreadable.end(), i) != unreadable.end();
    });
    batch.images = images_.index_select(0, at::tensor(batch.indices, at::kLong));
    position_ = end;
    return true;
  }
  std::vector<std::vector<int64_t>> orders;
  std::vector<int64_t> unreadable;

 private:
  at::Tensor images_;
  std::vector<int64_t> order_;
  size_t batch_ = 1;
  size_t position_ = 0;
};

class Recorder : public TrainingObserver {
 public:
  void on_start(at::Device, Precision, int, int64_t, const TrainingState& state) override {
    from = state;
  }
  void on_progress(const ProgressReport& report) override {
    if (progress) progress(report);
  }
  void on_epoch(const EpochReport& report) override { epochs.push_back(report); }
  void on_reconstructions(const ReconstructionReport& report) override {
    reconstructions.push_back(report);
  }
  void on_warning(const std::string& message) override { warnings.push_back(message); }
  void on_finishing(Stopped) override {
    if (finishing) finishing();
  }
  TrainingState from;
  std::vector<EpochReport> epochs;
  std::vector<ReconstructionReport> reconstructions;
  std::vector<std::string> warnings;
  std::function<void(const ProgressReport&)> progress;
  std::function<void()> finishing;
};

/// A training of under a second.
inline TrainerConfig small_training() {
  TrainerConfig config;
  config.model.height = config.model.width = 13;
  config.model.filters = {4, 8};
  config.model.pooling = {Pooling::kMax, Pooling::kAvg};
  config.model.kernel_size = {3, 4};
  config.model.strides = {2, 1};
  config.model.dims = {16, 6};
  // The moving statistics follow within the few epochs of a test.
  config.model.batch_norm_momentum = 0.5;
  config.optimizer = OptimizerKind::kAdam;
  config.learning_rate = 0.005;
  config.epochs = 3;
  config.batch_size = 8;
  config.device = "cpu";
  // Threads that wait for one another cost more than such a training on a busy machine.
  config.threads = 1;
  config.config_json = R"({"x":1})";
  config.progress_interval_ms = 0;
  return config;
}

}  // namespace flexae
