#include "core/trainer.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include <chrono>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/checkpoint.h"
#include "core/cpu.h"
#include "core/device.h"
#include "core/device_feed.h"
#include "core/error.h"
#include "core/memory.h"
#include "core/random.h"
#include "core/torchscript.h"
#include "core/training_step.h"

namespace flexae {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::vector<int64_t> in_order(int64_t n) {
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  return order;
}

class Training {
 public:
  Training(const TrainerConfig& config, BatchSource& train_source, BatchSource& valid_source,
           TrainingObserver& observer, const std::atomic<bool>& cancel)
      : config_(config),
        train_source_(train_source),
        valid_source_(valid_source),
        observer_(observer),
        cancel_(cancel),
        device_(resolve_device(config.device)),
        step_(config, device_),
        train_feed_(train_source, device_),
        valid_feed_(valid_source, device_) {}

  TrainingResult run() {
    const auto begin = Clock::now();
    observer_.on_start(device_, step_.precision(), at::get_num_threads(), batches(train_source_));
    TrainingResult result;
    result.stopped = fit();
    observer_.on_finishing(result.stopped);
    result.epochs = state_.epoch;
    result.best_epoch = state_.best_epoch;
    if (!best_.empty()) step_.model().load_state(best_);
    export_models();
    if (result.stopped != Stopped::kInterrupted) {
      result.train = score(train_feed_, train_source_);
      result.valid = score(valid_feed_, valid_source_);
      result.scored = true;
    }
    result.seconds = seconds_since(begin);
    return result;
  }

 private:
  [[nodiscard]] int64_t batches(const BatchSource& source) const {
    return (source.size() + config_.batch_size - 1) / config_.batch_size;
  }

  Stopped fit() {
    for (int64_t epoch = 1; epoch <= config_.epochs; ++epoch) {
      EpochReport report;
      if (!run_epoch(epoch, report)) return Stopped::kInterrupted;
      observer_.on_epoch(report);
      if (state_.wait >= config_.patience && !report.best) return Stopped::kEarly;
    }
    return Stopped::kFinished;
  }

  /// False if it was cancelled.
  bool run_epoch(int64_t epoch, EpochReport& report) {
    const auto begin = Clock::now();
    report.epoch = epoch;
    if (!train_epoch(epoch)) return false;
    report.train = finite(step_.metrics().values(), epoch, "training");
    const double train_seconds = seconds_since(begin);
    report.images_per_second = static_cast<double>(images_) / train_seconds;
    if (!validate_epoch(epoch)) return false;
    report.valid = finite(step_.metrics().values(), epoch, "validation");
    report.seconds = seconds_since(begin);

    state_.epoch = epoch;
    report.best = state_.best_epoch == 0 || report.valid.loss < state_.best_loss;
    if (report.best) {
      state_.best_epoch = epoch;
      state_.best_loss = report.valid.loss;
      state_.wait = 0;
      keep_best();
    } else {
      ++state_.wait;
    }
    report.best_epoch = state_.best_epoch;
    if (report.best && epoch - last_checkpoint_ >= config_.period && !config_.run_dir.empty()) {
      report.checkpoint = checkpoint_name(epoch, report.train.loss, report.valid.loss);
      save_checkpoint(config_.run_dir + "/" + report.checkpoint, step_.model(), step_.optimizer(),
                      state_, config_.config_json);
      last_checkpoint_ = epoch;
    }
    return true;
  }

  bool train_epoch(int64_t epoch) {
    step_.metrics().reset();
    images_ = 0;
    train_feed_.start(random_permutation(train_source_.size(), config_.seed,
                                         RandomPurpose::kShuffle, static_cast<uint64_t>(epoch)),
                      config_.batch_size);
    const auto begin = Clock::now();
    DeviceFeed::Item item;
    for (int64_t batch = 1; train_feed_.next(item); ++batch) {
      if (cancel_.load(std::memory_order_relaxed)) return false;
      step_.train(item.images, item.indices, epoch, batch);
      images_ += item.images.size(0);
      progress(false, epoch, batch, batches(train_source_), begin);
    }
    if (images_ == 0) throw Error(ErrorCode::kData, "No training image could be read.");
    return !cancel_.load(std::memory_order_relaxed);
  }

  bool validate_epoch(int64_t epoch) {
    step_.metrics().reset();
    images_ = 0;
    valid_feed_.start(in_order(valid_source_.size()), config_.batch_size);
    const auto begin = Clock::now();
    DeviceFeed::Item item;
    for (int64_t batch = 1; valid_feed_.next(item); ++batch) {
      if (cancel_.load(std::memory_order_relaxed)) return false;
      step_.evaluate(item.images);
      images_ += item.images.size(0);
      progress(true, epoch, batch, batches(valid_source_), begin);
    }
    if (images_ == 0) throw Error(ErrorCode::kData, "No validation image could be read.");
    return !cancel_.load(std::memory_order_relaxed);
  }

  Metrics::Values score(DeviceFeed& feed, const BatchSource& source) {
    step_.metrics().reset();
    feed.start(in_order(source.size()), config_.batch_size);
    DeviceFeed::Item item;
    while (feed.next(item)) step_.evaluate(item.images);
    return step_.metrics().values();
  }

  void progress(bool validating, int64_t epoch, int64_t batch, int64_t batches,
                Clock::time_point begin) {
    const auto now = Clock::now();
    if (now - last_progress_ < std::chrono::milliseconds(config_.progress_interval_ms)) return;
    last_progress_ = now;
    // Waits for the device, which is why it is not done for each batch.
    const double loss =
        finite(step_.metrics().values(), epoch, validating ? "validation" : "training").loss;
    const double elapsed = std::chrono::duration<double>(now - begin).count();
    observer_.on_progress(
        {validating, epoch, batch, batches, loss, static_cast<double>(images_) / elapsed});
  }

  static Metrics::Values finite(const Metrics::Values& values, int64_t epoch, const char* what) {
    if (!std::isfinite(values.loss)) {
      throw Error(ErrorCode::kNan,
                  std::string("The ") + what + " loss is no longer a finite number in epoch " +
                      std::to_string(epoch) +
                      ".\nUse a smaller learning_rate, or another optimizer or activation.");
    }
    return values;
  }

  void keep_best() {
    if (best_.empty()) {
      for (const auto& [name, tensor] : step_.model().state())
        best_.emplace_back(name, tensor.clone());
      return;
    }
    const auto state = step_.model().state();
    for (size_t i = 0; i < state.size(); ++i) best_[i].second.copy_(state[i].second);
  }

  void export_models() {
    if (config_.run_dir.empty()) return;
    export_autoencoder(step_.model(), config_.run_dir + "/ae.pt", config_.config_json);
    export_encoder(step_.model(), config_.run_dir + "/en.pt", config_.config_json);
  }

  const TrainerConfig& config_;
  BatchSource& train_source_;
  BatchSource& valid_source_;
  TrainingObserver& observer_;
  const std::atomic<bool>& cancel_;
  at::Device device_;
  TrainingStep step_;
  DeviceFeed train_feed_;
  DeviceFeed valid_feed_;
  TrainingState state_;
  std::vector<std::pair<std::string, at::Tensor>> best_;
  int64_t last_checkpoint_ = 0;
  int64_t images_ = 0;
  Clock::time_point last_progress_;
};

void require_at_least(int64_t value, int64_t least, const char* name) {
  if (value >= least) return;
  throw Error(ErrorCode::kConfig, std::string("Expected ") + name + " to be at least " +
                                      std::to_string(least) + " but received " +
                                      std::to_string(value));
}

}  // namespace

void validate(const TrainerConfig& config) {
  validate(config.model);
  require_at_least(config.epochs, 1, "train_epochs");
  require_at_least(config.batch_size, 1, "batch_size");
  require_at_least(config.patience, 0, "patience");
  require_at_least(config.period, 1, "period");
  require_at_least(config.threads, 0, "threads");
  require_at_least(config.progress_interval_ms, 0, "progressInterval");
  if (!std::isfinite(config.learning_rate) || config.learning_rate <= 0) {
    throw Error(ErrorCode::kConfig, "Expected learning_rate to be a positive number");
  }
}

TrainingResult train(const TrainerConfig& config, BatchSource& train_source,
                     BatchSource& valid_source, TrainingObserver& observer,
                     const std::atomic<bool>& cancel) {
  validate(config);
  const c10::NoGradGuard no_grad;
  keep_freed_memory();
  at::set_num_threads(config.threads > 0 ? config.threads : available_cores());
  return Training(config, train_source, valid_source, observer, cancel).run();
}

}  // namespace flexae
