#include "core/train/trainer.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include <chrono>
#include <cmath>
#include <exception>
#include <memory>
#include <numeric>
#include <utility>

#include "core/base/allocator.h"
#include "core/base/cpu_info.h"
#include "core/base/error.h"
#include "core/base/random.h"
#include "core/cpu/kernels/kernels.h"
#include "core/device/device.h"
#include "core/files/atomic_file.h"
#include "core/train/agreement.h"
#include "core/train/checkpoint/checkpoint.h"
#include "core/train/checkpoint/checkpoint_writer.h"
#include "core/train/checkpoint_policy.h"
#include "core/train/early_stopping.h"
#include "core/train/feed/epoch_order.h"
#include "core/train/feed/shared_feed.h"
#include "core/train/initial_weights.h"
#include "core/train/rewinding.h"
#include "core/train/snapshots.h"
#include "core/train/training_step.h"

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
           const Exporters& exporters, TrainingObserver& observer, const std::atomic<bool>& cancel,
           Communicator& communicator)
      : config_(config),
        communicator_(communicator),
        train_source_(train_source),
        valid_source_(valid_source),
        exporters_(exporters),
        observer_(observer),
        cancel_(cancel),
        device_(resolve_device(config.device)),
        step_(config, device_, communicator),
        train_feed_(train_source, device_, config.model, communicator),
        valid_feed_(valid_source, device_, config.model, communicator),
        early_stopping_(config.patience),
        policy_(config, begin_),
        reconstructions_(communicator.rank() == 0 ? config.reconstructions : 0,
                         valid_source.size()),
        rewinding_(config.on_nan),
        writer_(config.run_dir, config.keep) {
    if (!config.resume_from.empty()) {
      resume();
    } else {
      if (!config.weights_from.empty() && communicator.rank() == 0) {
        new_layers_ =
            load_initial_weights(step_.model(), config.weights_from, config.partial_weights);
      }
      step_.begin_as_rank_0();
    }
  }

  TrainingResult run() {
    observer_.on_start(device_, step_.precision(), at::get_num_threads(), batches(train_source_),
                       state_);
    for (const std::string& layer : new_layers_) {
      observer_.on_warning(layer + " begins new: " + config_.weights_from + " has no such weights");
    }
    if (rewinding_.keeps()) rewinding_.keep(snapshot());
    TrainingResult result;
    result.stopped = fit();
    if (policy_.is_due_at_end(state_)) save({});
    observer_.on_finishing(result.stopped);
    result.epochs = state_.epoch;
    result.best_epoch = state_.best_epoch;
    if (!best_.empty()) step_.model().load_state(best_);
    export_models();
    writer_.wait();
    if (result.stopped != Stopped::kInterrupted) {
      result.train = score(train_feed_, train_source_);
      result.valid = score(valid_feed_, valid_source_);
      result.scored = !is_interrupted_;
      if (is_interrupted_) result.stopped = Stopped::kInterrupted;
    }
    result.seconds = seconds_before_ + seconds_since(begin_);
    return result;
  }

 private:
  [[nodiscard]] int64_t batches(const BatchSource& source) const {
    return (source.size() + config_.batch_size - 1) / config_.batch_size;
  }

  /// Before a batch of which this process has `images`: what holds for all processes.
  Agreement next_batch(int64_t images) {
    const Agreement agreed = agree(communicator_, images, cancel_.load(std::memory_order_relaxed),
                                   !communicator_.is_alone() && policy_.is_due_at(Clock::now()));
    is_interrupted_ = is_interrupted_ || agreed.is_cancelled;
    return agreed;
  }
  /// After a pass over a set.
  void exchange_news() {
    if (communicator_.is_alone()) return;
    is_interrupted_ = next_batch(0).is_cancelled;
    observer_.hear_others(communicator_.gather(observer_.tell_others()));
  }
  [[nodiscard]] bool cancelled() const {
    return is_interrupted_ || (communicator_.is_alone() && cancel_.load(std::memory_order_relaxed));
  }
  /// With the sessions before this one.
  [[nodiscard]] double epoch_seconds() const {
    return state_.progress.seconds + seconds_since(epoch_begin_);
  }

  [[nodiscard]] bool is_over() const {
    return state_.epoch >= config_.epochs || early_stopping_.is_over(state_);
  }

  Stopped fit() {
    while (!is_over()) {
      try {
        if (!run_epoch()) return Stopped::kInterrupted;
      } catch (const NonFiniteError& found) {
        rewind(found);
        continue;
      }
      observer_.on_epoch(state_.history.back());
      show_reconstructions();
    }
    return early_stopping_.is_over(state_) ? Stopped::kEarly : Stopped::kFinished;
  }

  /// They are nothing that a training should end for.
  void show_reconstructions() {
    try {
      const auto made = reconstructions_.after_epoch(state_.epoch, is_over(), step_.model());
      if (made) observer_.on_reconstructions(*made);
    } catch (const std::exception& error) {
      reconstructions_.stop();
      const std::string why = error.what();
      observer_.on_warning("Reconstructions are not shown any more: " +
                           why.substr(0, why.find('\n')));
    }
  }

  /// False if it was cancelled.
  bool run_epoch() {
    epoch_begin_ = Clock::now();
    train_metrics_ = at::Tensor();
    EpochReport report;
    report.epoch = state_.epoch + 1;
    if (!train_epoch(report.epoch)) return false;
    report.train = finite(step_.metrics().values(), report.epoch, "training");
    report.images_per_second = static_cast<double>(state_.progress.images) / epoch_seconds();
    train_metrics_ = step_.metrics().state();
    if (!validate_epoch(report.epoch)) return false;
    report.valid = finite(step_.metrics().values(), report.epoch, "validation");
    report.seconds = epoch_seconds();
    report.learning_rate = step_.optimizer().learning_rate();
    end_epoch(std::move(report));
    return true;
  }

  void end_epoch(EpochReport report) {
    state_.epoch = report.epoch;
    state_.progress = {};
    state_.seconds = seconds_before_ + seconds_since(begin_);
    if (EarlyStopping::count(report, state_)) best_ = copies(step_.model().state());
    const auto names = policy_.after_epoch(report, state_);
    state_.history.push_back(std::move(report));
    if (names) {
      save(*names);
    } else if (rewinding_.keeps()) {
      rewinding_.keep(snapshot());
    }
  }

  bool train_epoch(int64_t epoch) {
    EpochProgress& progress = state_.progress;
    step_.non_finite().reset();
    step_.metrics().reset();
    if (progress.batch > 0) step_.metrics().restore(progress.metrics);
    std::vector<int64_t> order =
        epoch_order(train_source_.size(), config_.train_parts, config_.seed, epoch);
    const int64_t before = progress.batch;
    const int64_t trained =
        std::min(before * config_.batch_size, static_cast<int64_t>(order.size()));
    order.erase(order.begin(), order.begin() + trained);
    train_feed_.start(std::move(order), config_.batch_size);
    SharedFeed::Item item;
    const auto begin = Clock::now();
    const int64_t images_before = progress.images;
    while (train_feed_.next(item)) {
      const Agreement agreed = next_batch(item.images.size(0));
      if (agreed.is_cancelled) return false;
      if (agreed.share.whole == 0) continue;
      step_.train(item.images, item.indices, epoch, before + item.batch, agreed.share);
      progress.batch = before + item.batch;
      progress.images += agreed.share.whole;
      if (device_.is_cpu()) require_finite(epoch);
      report_progress(false, epoch, progress.batch, batches(train_source_),
                      progress.images - images_before, begin);
      writer_.check();
      if (const std::string warning = step_.take_warning(); !warning.empty()) {
        observer_.on_warning(warning);
      }
      const bool is_due =
          communicator_.is_alone() ? policy_.is_due_at(Clock::now()) : agreed.is_time_to_save;
      if (is_due) {
        require_finite(epoch);
        save({});
      }
    }
    require_finite(epoch);
    exchange_news();
    if (progress.images == 0) throw Error(ErrorCode::kData, "No training image could be read.");
    return !cancelled();
  }

  bool validate_epoch(int64_t epoch) {
    step_.settle();
    step_.metrics().reset();
    int64_t images = 0;
    valid_feed_.start(in_order(valid_source_.size()), config_.batch_size);
    const auto begin = Clock::now();
    SharedFeed::Item item;
    while (valid_feed_.next(item)) {
      const Agreement agreed = next_batch(item.images.size(0));
      if (agreed.is_cancelled) return false;
      images += agreed.share.whole;
      if (agreed.share.images == 0) continue;
      step_.evaluate(item.images);
      reconstructions_.offer(item.images, item.indices);
      report_progress(true, epoch, item.batch, batches(valid_source_), images, begin);
    }
    step_.share_metrics();
    exchange_news();
    if (images == 0) throw Error(ErrorCode::kData, "No validation image could be read.");
    reconstructions_.close();
    return !cancelled();
  }

  Metrics::Values score(SharedFeed& feed, const BatchSource& source) {
    step_.metrics().reset();
    feed.start(in_order(source.size()), config_.batch_size);
    SharedFeed::Item item;
    while (!is_interrupted_ && feed.next(item)) {
      const Agreement agreed = next_batch(item.images.size(0));
      if (!agreed.is_cancelled && agreed.share.images > 0) step_.evaluate(item.images);
    }
    // Asked to stop after the last batch.
    next_batch(0);
    step_.share_metrics();
    return step_.metrics().values();
  }

  void report_progress(bool validating, int64_t epoch, int64_t batch, int64_t batches,
                       int64_t images, Clock::time_point begin) {
    const auto now = Clock::now();
    if (now - last_progress_ < std::chrono::milliseconds(config_.progress_interval_ms)) return;
    last_progress_ = now;
    // A device is not waited for: it tells what it had a moment ago, and is asked at the end.
    const auto values = step_.metrics().latest();
    // Nor do several processes judge their own numbers, each by its clock.
    const bool judges = device_.is_cpu() && communicator_.is_alone();
    if (!values || (!judges && !std::isfinite(values->loss))) return;
    const double loss = finite(*values, epoch, validating ? "validation" : "training").loss;
    const double elapsed = std::chrono::duration<double>(now - begin).count();
    observer_.on_progress(
        {validating, epoch, batch, batches, loss, static_cast<double>(images) / elapsed});
  }

  void require_finite(int64_t epoch) {
    const auto bad = step_.non_finite().found();
    if (!bad) return;
    throw NonFiniteError{std::string(bad->gradient ? "A gradient" : "The loss") +
                         " is no longer a finite number in epoch " + std::to_string(epoch) +
                         ", batch " + std::to_string(bad->batch)};
  }

  static Metrics::Values finite(const Metrics::Values& values, int64_t epoch, const char* what) {
    if (std::isfinite(values.loss)) return values;
    throw NonFiniteError{std::string("The ") + what +
                         " loss is no longer a finite number in epoch " + std::to_string(epoch)};
  }

  /// To the last good point; ends the training where that is not wanted or does not help.
  void rewind(const NonFiniteError& found) {
    const int64_t rewinds = state_.rewinds + 1;
    const std::shared_ptr<const Checkpoint> good = rewinding_.back(found, rewinds);
    restore(good->snapshot);
    state_.rewinds = rewinds;
    set_learning_rate();
    observer_.on_warning(Rewinding::message(found, state_, step_.optimizer().learning_rate()));
  }

  void set_learning_rate() {
    step_.optimizer().set_learning_rate(
        Rewinding::learning_rate(config_.learning_rate, state_.rewinds));
  }

  [[nodiscard]] std::shared_ptr<const Checkpoint> snapshot() {
    auto checkpoint = std::make_shared<Checkpoint>();
    checkpoint->config_json = config_.config_json;
    checkpoint->settings_json = config_.settings_json;
    TrainingState state = state_;
    EpochProgress& progress = state.progress;
    if (progress.batch > 0) {
      progress.seconds = epoch_seconds();
      // While validating, the step's metrics are those of the validation images.
      progress.metrics = train_metrics_.defined() ? train_metrics_ : step_.metrics().state();
    }
    checkpoint->snapshot = take_snapshot(step_, state, best_);
    return checkpoint;
  }

  /// Sets model, optimizer and state. Throws Error(kModel) if they are another network's.
  void restore(const Snapshot& snapshot) {
    restore_snapshot(step_, snapshot);
    state_ = snapshot.state;
    if (state_.best_epoch > 0) best_ = snapshot.best.empty() ? snapshot.model : snapshot.best;
    set_learning_rate();
  }

  void resume() {
    try {
      // Rank 0 alone need have the file.
      const std::string data = communicator_.broadcast_text(
          communicator_.rank() == 0 ? read_file(config_.resume_from) : std::string());
      restore(parse_checkpoint(data, config_.resume_from).snapshot);
      // Throws if it is not what metrics are made of.
      if (state_.progress.batch > 0) step_.metrics().restore(state_.progress.metrics);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kModel) throw;
      throw Error(ErrorCode::kModel,
                  "Cannot go on from " + config_.resume_from + ": " + error.what());
    }
    policy_.note_resumed(state_);
    seconds_before_ = state_.seconds + state_.progress.seconds;
  }

  void save(const std::vector<std::string>& links) {
    if (config_.run_dir.empty() && !rewinding_.keeps()) {
      policy_.note_saved(state_, Clock::now());
      return;
    }
    const std::shared_ptr<const Checkpoint> checkpoint = snapshot();
    if (rewinding_.keeps()) rewinding_.keep(checkpoint);
    if (!config_.run_dir.empty()) writer_.write(checkpoint, links);
    policy_.note_saved(state_, Clock::now());
  }

  void export_models() {
    if (config_.run_dir.empty()) return;
    for (const auto& exporter : exporters_) {
      exporter->write(step_.model(), config_.run_dir + "/" + exporter->file(), config_.config_json);
    }
  }

  const TrainerConfig& config_;
  Communicator& communicator_;
  bool is_interrupted_ = false;          ///< All processes have agreed on it.
  std::vector<std::string> new_layers_;  ///< Of those whose weights were to be given.
  BatchSource& train_source_;
  BatchSource& valid_source_;
  const Exporters& exporters_;
  TrainingObserver& observer_;
  const std::atomic<bool>& cancel_;
  at::Device device_;
  TrainingStep step_;
  SharedFeed train_feed_;
  SharedFeed valid_feed_;
  TrainingState state_;
  NamedTensors best_;          ///< On the host; never written to in place.
  at::Tensor train_metrics_;   ///< Of the epoch whose validation is under way.
  double seconds_before_ = 0;  ///< Of the sessions before this one.
  const Clock::time_point begin_ = Clock::now();
  Clock::time_point epoch_begin_ = begin_;
  Clock::time_point last_progress_;
  EarlyStopping early_stopping_;
  CheckpointPolicy policy_;
  Reconstructions reconstructions_;
  Rewinding rewinding_;
  CheckpointWriter writer_;
};

}  // namespace

TrainingResult train(const TrainerConfig& config, BatchSource& train_source,
                     BatchSource& valid_source, const Exporters& exporters,
                     TrainingObserver& observer, const std::atomic<bool>& cancel,
                     Communicator& communicator) {
  validate(config);
  (void)kernels();
  const c10::NoGradGuard no_grad;
  keep_freed_memory();
  at::set_num_threads(config.threads > 0 ? static_cast<int>(config.threads) : available_cores());
  return Training(config, train_source, valid_source, exporters, observer, cancel, communicator)
      .run();
}

}  // namespace flexae
