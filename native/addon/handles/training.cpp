#include "addon/handles/training.h"

#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "addon/convert/arguments.h"
#include "addon/convert/errors.h"
#include "addon/convert/values.h"
#include "addon/handles/process_group.h"
#include "core/base/error.h"
#include "core/device/device.h"
#include "core/train/trainer.h"
#include "data/files/path_text.h"

namespace flexae::addon {
namespace {

/// What the training thread wants done on the JavaScript thread.
using Message = std::function<void(Napi::Env, Napi::Function)>;

void deliver(Napi::Env env, Napi::Function callback, std::nullptr_t* /*context*/,
             Message* message) {
  const std::unique_ptr<Message> owned(message);
  // Both are null while the environment is being torn down.
  if (env != nullptr && !callback.IsEmpty()) (*owned)(env, callback);
}

using Channel = Napi::TypedThreadSafeFunction<std::nullptr_t, Message, deliver>;

const char* stopped_name(Stopped stopped) {
  switch (stopped) {
    case Stopped::kFinished:
      return "finished";
    case Stopped::kEarly:
      return "early";
    case Stopped::kInterrupted:
      return "interrupted";
  }
  return "";
}

/// Training threads that have not ended.
std::atomic<int> running{0};

void leave_running_threads(int status, void* /*unused*/) {
  if (running.load() > 0 || has_lost_others()) _exit(status);
}

/// A share as a percentage, without needless digits.
std::string percent(double share) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.4g%%", 100 * share);
  return text.data();
}

Napi::Object traffic_to_js(Napi::Env env, const Traffic& traffic) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("bytes", static_cast<double>(traffic.bytes));
  object.Set("sums", static_cast<double>(traffic.sums));
  object.Set("seconds", traffic.seconds);
  object.Set("waited", traffic.waited);
  object.Set("gradientBytes", static_cast<double>(traffic.bulk_bytes));
  object.Set("gradientSeconds", traffic.bulk_seconds);
  object.Set("gradientWaited", traffic.bulk_waited);
  return object;
}

class Job : public TrainingObserver, public std::enable_shared_from_this<Job> {
 public:
  Job(Napi::Env env, const Napi::Object& options, const Napi::Function& on_event)
      : deferred_(Napi::Promise::Deferred::New(env)), config_(to_trainer(options)) {
    const ModelConfig& model = config_.model;
    load_ = to_load(get_object(options, "load"), model.channels, model.height, model.width);
    max_bad_share_ = get_number(options, "maxBadShare");
    if (!(max_bad_share_ >= 0 && max_bad_share_ <= 1)) {
      throw Error(ErrorCode::kConfig, "Expected maxBadShare to be between 0 and 1");
    }
    processes_ = to_process_group(options.Get("processes"));
    train_images_ = to_source(get_object(options, "train"), load_.spec, "the training set");
    config_.train_parts = train_images_.parts;
    valid_images_ = to_source(get_object(options, "valid"), load_.spec, "the validation set");
    // Found before the thread starts, so that train() itself throws.
    device_ = resolve_device(config_.device);
    channel_ = Channel::New(env, on_event, "flexible-autoencoder training", 0, 1);
  }

  Napi::Object start(Napi::Env env) {
    // Runs before the channel's own clean-up, which was registered earlier: the thread has ended
    // when the environment goes.
    hook_ = std::make_unique<Hook>(
        env.AddCleanupHook(std::function<void()>([self = shared_from_this()] { self->end(); })));
    running.fetch_add(1);
    thread_ = std::thread([self = shared_from_this()] {
      self->run();
      running.fetch_sub(1);
    });
    Napi::Object handle = Napi::Object::New(env);
    handle.Set("result", deferred_.Promise());
    handle.Set("cancel", Napi::Function::New(
                             env, [self = shared_from_this()](const Napi::CallbackInfo& /*info*/) {
                               self->cancel_.store(true, std::memory_order_relaxed);
                             }));
    return handle;
  }

  void on_start(at::Device device, Precision precision, int threads, int64_t batches,
                const TrainingState& from) override {
    const std::string name = device_name(device);
    const int64_t epoch = from.epoch;
    const int64_t batch = from.progress.batch;
    send([=, this](Napi::Env env, Napi::Object event) {
      (void)env;
      event.Set("type", "start");
      event.Set("device", device.str());
      event.Set("deviceName", name);
      event.Set("precision", precision_name(precision));
      event.Set("threads", threads);
      event.Set("trainImages", static_cast<double>(train_size_));
      event.Set("validImages", static_cast<double>(valid_size_));
      event.Set("batches", static_cast<double>(batches));
      event.Set("cache", cache_kind_name(cache_));
      event.Set("epochsDone", static_cast<double>(epoch));
      event.Set("batchesDone", static_cast<double>(batch));
    });
  }

  void on_progress(const ProgressReport& report) override {
    send([report](Napi::Env /*env*/, Napi::Object event) {
      event.Set("type", "batch");
      event.Set("phase", report.validating ? "validate" : "train");
      event.Set("epoch", static_cast<double>(report.epoch));
      event.Set("batch", static_cast<double>(report.batch));
      event.Set("batches", static_cast<double>(report.batches));
      event.Set("loss", report.loss);
      event.Set("imagesPerSecond", report.images_per_second);
    });
  }

  void on_epoch(const EpochReport& report) override {
    post([report](Napi::Env env, Napi::Function on_event) {
      Napi::Object event = to_js(env, report);
      event.Set("type", "epoch");
      event.Set("checkpoint", report.checkpoint.empty()
                                  ? env.Null()
                                  : Napi::Value(Napi::String::New(env, report.checkpoint)));
      on_event.Call({event});
    });
  }

  void on_reconstructions(const ReconstructionReport& report) override {
    send([report](Napi::Env env, Napi::Object event) {
      event.Set("type", "reconstructions");
      event.Set("epoch", static_cast<double>(report.epoch));
      event.Set("shape", addon::to_js(env, report.originals.sizes().vec()));
      event.Set("originals", to_typed_array(env, report.originals));
      event.Set("reconstructions", to_typed_array(env, report.reconstructions));
    });
  }

  void on_warning(const std::string& message) override {
    send([message](Napi::Env /*env*/, Napi::Object event) {
      event.Set("type", "warning");
      event.Set("message", message);
    });
  }

  /// Images found bad since it last told.
  std::string tell_others() override { return std::exchange(news_, {}); }

  void hear_others(const std::vector<std::string>& told) override {
    for (size_t rank = 0; rank < told.size(); ++rank) {
      if (static_cast<int>(rank) == processes_->rank()) continue;
      const std::string& text = told[rank];
      for (size_t at = 0; at < text.size();) {
        const auto field = [&] {
          const size_t end = text.find('\0', at);
          std::string found = text.substr(at, end - at);
          at = end + 1;
          return found;
        };
        const bool valid = field() == "valid";
        const std::string file = field();
        const std::string reason = field();
        if (!known_bad_.insert(file).second) continue;
        // Rank 0 alone keeps a list.
        if (processes_->rank() == 0) tell_bad(valid, file, reason);
        note_bad(valid, file, reason);
      }
    }
  }

  void on_finishing(Stopped stopped) override {
    send([stopped](Napi::Env /*env*/, Napi::Object event) {
      event.Set("type", "finishing");
      event.Set("stopped", stopped_name(stopped));
    });
  }

 private:
  using Hook = Napi::Env::CleanupHook<std::function<void()>>;

  static std::string device_name(at::Device device) {
    if (device.is_cpu()) return "CPU";
    for (const CudaDevice& known : cuda_devices()) {
      if (known.index == device.index()) return known.name;
    }
    return device.str();
  }

  void post(Message message) {
    auto owned = std::make_unique<Message>(std::move(message));
    // Refused only while the environment closes; nobody is left to hear it.
    if (channel_.NonBlockingCall(owned.get()) == napi_ok) (void)owned.release();
  }

  void send(std::function<void(Napi::Env, Napi::Object)> fill) {
    post([fill = std::move(fill)](Napi::Env env, Napi::Function on_event) {
      Napi::Object event = Napi::Object::New(env);
      fill(env, event);
      on_event.Call({event});
    });
  }

  void bad_image(bool valid, const std::string& file, const std::string& reason) {
    if (processes_) {
      // Another process may have met it in an earlier epoch.
      if (!known_bad_.insert(file).second) return;
      for (const std::string& field : {std::string(valid ? "valid" : "train"), file, reason}) {
        news_ += field + '\0';
      }
    }
    tell_bad(valid, file, reason);
    note_bad(valid, file, reason);
  }

  void tell_bad(bool valid, const std::string& file, const std::string& reason) {
    send([=](Napi::Env env, Napi::Object event) {
      event.Set("type", "bad");
      event.Set("set", valid ? "valid" : "train");
      event.Set("file", path_to_js(env, file));
      event.Set("reason", reason);
    });
  }

  void note_bad(bool valid, const std::string& file, const std::string& reason) {
    const char* set = valid ? "valid" : "train";
    const int64_t size = valid ? valid_size_ : train_size_;
    const int64_t count = ++(valid ? bad_valid_ : bad_train_);
    if (static_cast<double>(count) <= max_bad_share_ * static_cast<double>(size)) return;
    const char* where = config_.run_dir.empty() ? "" : "bad_images.csv lists them. ";
    throw Error(ErrorCode::kData,
                std::to_string(count) + " of the " + std::to_string(size) + " " + set +
                    " images (" + percent(static_cast<double>(count) / static_cast<double>(size)) +
                    ") cannot be used, and --max-bad allows " + percent(max_bad_share_) +
                    "; the last one is " + shown_path(file) + ": " + reason + ".\n" + where +
                    "Repair or remove them, or raise --max-bad; flexae check tells more.");
  }

  /// The training thread.
  void run() {
    try {
      const TrainingResult result = read_and_train();
      finish([self = shared_from_this(), result](Napi::Env env) {
        self->deferred_.Resolve(self->to_result(env, result));
      });
    } catch (...) {
      const Failure failure = current_failure();
      if (processes_) processes_->fail(failure.message);
      finish([self = shared_from_this(), failure](Napi::Env env) {
        self->deferred_.Reject(addon::to_js(env, failure).Value());
      });
    }
  }

  /// The sources are gone when it returns: their threads may send events.
  TrainingResult read_and_train() {
    const auto request = [&](Source images, bool valid, int64_t& size) {
      size = images.images.defined() ? images.images.size(0)
                                     : static_cast<int64_t>(images.files.size());
      return SourceRequest{std::move(images),
                           [this, valid](const std::string& file, const std::string& reason) {
                             bad_image(valid, file, reason);
                           }};
    };
    std::vector<SourceRequest> requests;
    requests.push_back(request(std::move(train_images_), /*valid=*/false, train_size_));
    requests.push_back(request(std::move(valid_images_), /*valid=*/true, valid_size_));
    const OpenSources open =
        open_sources(std::move(requests), load_, device_.is_cuda(), /*once=*/false,
                     [this](const std::string& message) { on_warning(message); });
    cache_ = open.cache;
    Communicator& communicator = processes_ ? *processes_ : Communicator::alone();
    return flexae::train(config_, *open.sources[0], *open.sources[1], default_exporters(), *this,
                         cancel_, communicator);
  }

  /// The thread's last act: settle the promise once the thread is gone.
  void finish(std::function<void(Napi::Env)> settle) {
    post([self = shared_from_this(), settle = std::move(settle)](Napi::Env env,
                                                                 Napi::Function /*on_event*/) {
      self->thread_.join();
      // The hook keeps the job alive; its removal lets go of it.
      if (self->hook_ && !self->hook_->IsEmpty()) self->hook_->Remove(env);
      settle(env);
    });
    channel_.Release();
  }

  /// The environment goes away, perhaps in the middle of a training.
  void end() {
    cancel_.store(true, std::memory_order_relaxed);
    if (thread_.joinable()) thread_.join();
  }

  Napi::Value to_result(Napi::Env env, const TrainingResult& result) const {
    Napi::Object object = Napi::Object::New(env);
    object.Set("stopped", stopped_name(result.stopped));
    object.Set("epochs", static_cast<double>(result.epochs));
    object.Set("bestEpoch", static_cast<double>(result.best_epoch));
    object.Set("train", result.scored ? Napi::Value(to_js(env, result.train)) : env.Null());
    object.Set("valid", result.scored ? Napi::Value(to_js(env, result.valid)) : env.Null());
    object.Set("seconds", result.seconds);
    object.Set("device", device_.str());
    object.Set("badImages", static_cast<double>(bad_train_ + bad_valid_));
    if (processes_) object.Set("traffic", traffic_to_js(env, processes_->traffic()));
    return object;
  }

  Napi::Promise::Deferred deferred_;
  TrainerConfig config_;
  Load load_;
  double max_bad_share_ = 0;
  std::shared_ptr<ProcessGroup> processes_;  ///< Null without others.
  std::string news_;                         ///< For them: fields, each with a zero behind it.
  std::set<std::string> known_bad_;          ///< Files that any of them met.
  int64_t bad_train_ = 0;
  int64_t bad_valid_ = 0;
  Source train_images_;
  Source valid_images_;
  int64_t train_size_ = 0;
  int64_t valid_size_ = 0;
  CacheKind cache_ = CacheKind::kNone;
  at::Device device_ = at::kCPU;
  Channel channel_;
  std::unique_ptr<Hook> hook_;
  std::thread thread_;
  std::atomic<bool> cancel_{false};
};

}  // namespace

void watch_exit(Napi::Env env) {
  const auto process = env.Global().Get("process").As<Napi::Object>();
  const auto on_exit_event = Napi::Function::New(env, [](const Napi::CallbackInfo& /*info*/) {
    // Registered as late as can be: what libtorch makes lazily is destroyed after it.
    (void)on_exit(leave_running_threads, nullptr);
  });
  process.Get("once").As<Napi::Function>().Call(process,
                                                {Napi::String::New(env, "exit"), on_exit_event});
}

Napi::Value train(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    if (!info[1].IsFunction()) throw Error(ErrorCode::kConfig, "Expected a function for onEvent");
    const auto job =
        std::make_shared<Job>(env, to_object(info[0], "options"), info[1].As<Napi::Function>());
    return job->start(env);
  });
}

}  // namespace flexae::addon
