#include "core/trainer.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <chrono>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "core/checkpoint.h"
#include "core/device.h"
#include "core/device_feed.h"
#include "core/error.h"
#include "core/optimizer.h"
#include "core/random.h"
#include "core/torchscript.h"

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

/// Turns over the images whose bit is set. `bytes` is N×H×W×C; `dim` 1 is vertical, 2 horizontal.
at::Tensor flip_some(const at::Tensor& bytes, const std::vector<int64_t>& indices, int64_t dim,
                     const std::function<bool(int64_t)>& chosen) {
  at::Tensor mask = at::empty({bytes.size(0), 1, 1, 1}, at::kBool);
  for (size_t i = 0; i < indices.size(); ++i) {
    mask.mutable_data_ptr<bool>()[i] = chosen(indices[i]);
  }
  return at::where(mask.to(bytes.device(), /*non_blocking=*/true), bytes.flip({dim}), bytes);
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
        model_(config.model, config.seed, device_),
        optimizer_(config.optimizer, config.learning_rate, model_.parameters()),
        feed_(train_source, device_),
        metrics_(device_) {}

  TrainingResult run() {
    const auto begin = Clock::now();
    observer_.on_start(device_, at::get_num_threads(), batches(train_source_));
    TrainingResult result;
    result.stopped = fit();
    observer_.on_finishing(result.stopped);
    result.epochs = state_.epoch;
    result.best_epoch = state_.best_epoch;
    if (!best_.empty()) model_.load_state(best_);
    export_models();
    if (result.stopped != Stopped::kInterrupted) {
      result.train = evaluate(model_, train_source_, config_.batch_size);
      result.valid = evaluate(model_, valid_source_, config_.batch_size);
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
    report.train = finite(metrics_.values(), epoch, "training");
    const double train_seconds = seconds_since(begin);
    report.images_per_second = static_cast<double>(images_) / train_seconds;
    if (!validate_epoch(epoch)) return false;
    report.valid = finite(metrics_.values(), epoch, "validation");
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
      save_checkpoint(config_.run_dir + "/" + report.checkpoint, model_, optimizer_, state_,
                      config_.config_json);
      last_checkpoint_ = epoch;
    }
    return true;
  }

  bool train_epoch(int64_t epoch) {
    metrics_.reset();
    images_ = 0;
    feed_.start(random_permutation(train_source_.size(), config_.seed, RandomPurpose::kShuffle,
                                   static_cast<uint64_t>(epoch)),
                config_.batch_size);
    const auto begin = Clock::now();
    DeviceFeed::Item item;
    for (int64_t batch = 1; feed_.next(item); ++batch) {
      if (cancel_.load(std::memory_order_relaxed)) return false;
      train_batch(item, epoch, batch);
      images_ += item.images.size(0);
      progress(false, epoch, batch, batches(train_source_), begin);
    }
    if (images_ == 0) throw Error(ErrorCode::kData, "No training image could be read.");
    return !cancel_.load(std::memory_order_relaxed);
  }

  void train_batch(const DeviceFeed::Item& item, int64_t epoch, int64_t batch) {
    const at::Tensor images = Autoencoder::scale(augment(item, epoch));
    // A batch's random numbers depend on where it stands, not on how the run came there.
    const uint64_t step = (static_cast<uint64_t>(epoch) << 32) + static_cast<uint64_t>(batch);
    const at::Tensor logits = model_.forward(images, config_.seed, step);
    at::Tensor grad;
    metrics_.add(logits, images, model_.penalties(), &grad);
    model_.backward(grad);
    optimizer_.step(model_.gradients());
    model_.constrain();
  }

  at::Tensor augment(const DeviceFeed::Item& item, int64_t epoch) const {
    at::Tensor bytes = item.images;
    const auto coin = [&](int64_t index, uint64_t bit) {
      return ((random_bits(config_.seed, RandomPurpose::kFlip, static_cast<uint64_t>(epoch),
                           static_cast<uint64_t>(index)) >>
               bit) &
              1) != 0;
    };
    if (config_.horizontal_flip) {
      bytes = flip_some(bytes, item.indices, 2, [&](int64_t index) { return coin(index, 0); });
    }
    if (config_.vertical_flip) {
      bytes = flip_some(bytes, item.indices, 1, [&](int64_t index) { return coin(index, 1); });
    }
    return bytes;
  }

  bool validate_epoch(int64_t epoch) {
    metrics_.reset();
    images_ = 0;
    DeviceFeed feed(valid_source_, device_);
    feed.start(in_order(valid_source_.size()), config_.batch_size);
    const auto begin = Clock::now();
    DeviceFeed::Item item;
    for (int64_t batch = 1; feed.next(item); ++batch) {
      if (cancel_.load(std::memory_order_relaxed)) return false;
      const at::Tensor images = Autoencoder::scale(item.images);
      metrics_.add(model_.decode(model_.encode(images)), images, model_.penalties(), nullptr);
      images_ += item.images.size(0);
      progress(true, epoch, batch, batches(valid_source_), begin);
    }
    if (images_ == 0) throw Error(ErrorCode::kData, "No validation image could be read.");
    return !cancel_.load(std::memory_order_relaxed);
  }

  void progress(bool validating, int64_t epoch, int64_t batch, int64_t batches,
                Clock::time_point begin) {
    const auto now = Clock::now();
    if (now - last_progress_ < std::chrono::milliseconds(config_.progress_interval_ms)) return;
    last_progress_ = now;
    // Waits for the device, which is why it is not done for each batch.
    const double loss = finite(metrics_.values(), epoch, validating ? "validation" : "training").loss;
    const double elapsed = std::chrono::duration<double>(now - begin).count();
    observer_.on_progress(
        {validating, epoch, batch, batches, loss, static_cast<double>(images_) / elapsed});
  }

  static Metrics::Values finite(const Metrics::Values& values, int64_t epoch, const char* what) {
    if (!std::isfinite(values.loss)) {
      throw Error(ErrorCode::kNan, std::string("The ") + what + " loss is no longer a finite number in epoch " +
                                       std::to_string(epoch) +
                                       ".\nUse a smaller learning_rate, or another optimizer or activation.");
    }
    return values;
  }

  void keep_best() {
    if (best_.empty()) {
      for (const auto& [name, tensor] : model_.state()) best_.emplace_back(name, tensor.clone());
      return;
    }
    const auto state = model_.state();
    for (size_t i = 0; i < state.size(); ++i) best_[i].second.copy_(state[i].second);
  }

  void export_models() {
    if (config_.run_dir.empty()) return;
    export_autoencoder(model_, config_.run_dir + "/ae.pt", config_.config_json);
    export_encoder(model_, config_.run_dir + "/en.pt", config_.config_json);
  }

  const TrainerConfig& config_;
  BatchSource& train_source_;
  BatchSource& valid_source_;
  TrainingObserver& observer_;
  const std::atomic<bool>& cancel_;
  at::Device device_;
  Autoencoder model_;
  Optimizer optimizer_;
  DeviceFeed feed_;
  Metrics metrics_;
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
  const at::NoGradGuard no_grad;
  at::set_num_threads(config.threads > 0 ? config.threads : available_cores());
  return Training(config, train_source, valid_source, observer, cancel).run();
}

Metrics::Values evaluate(Autoencoder& model, BatchSource& source, int64_t batch_size) {
  const at::NoGradGuard no_grad;
  DeviceFeed feed(source, model.device());
  feed.start(in_order(source.size()), batch_size);
  Metrics metrics(model.device());
  DeviceFeed::Item item;
  while (feed.next(item)) {
    const at::Tensor images = Autoencoder::scale(item.images);
    metrics.add(model.decode(model.encode(images)), images, model.penalties(), nullptr);
  }
  return metrics.values();
}

}  // namespace flexae
