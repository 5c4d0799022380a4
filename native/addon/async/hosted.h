#pragma once

#include <napi.h>

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "addon/async/task.h"
#include "addon/async/threaded.h"
#include "addon/async/worker.h"
#include "core/base/error.h"

namespace flexae::addon {

/// Settles, on the JavaScript thread, the calls that another thread answered.
class Settler {
 public:
  struct Call {
    Call() = default;
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    virtual ~Call() = default;
    virtual void settle(Napi::Env env) = 0;
  };

  /// On the JavaScript thread.
  virtual void settle(Napi::Env env, Call* call) = 0;

  Settler() = default;
  Settler(const Settler&) = delete;
  Settler& operator=(const Settler&) = delete;

 protected:
  using Channel = Napi::TypedThreadSafeFunction<Settler, Call>;

  ~Settler() = default;
  /// What brings calls to settle(), from any thread. Keeps the event loop alive.
  Channel channel(Napi::Env env);
};

/// A Threaded<T> as JavaScript uses it: each call gives a promise, which the object's thread itself
/// settles. On the way through Node's pool a small batch would wait longer for threads to wake up
/// than for its results. All but the work of a call runs on the JavaScript thread.
template <typename T>
class Hosted final : public Settler, public std::enable_shared_from_this<Hosted<T>> {
 public:
  static std::shared_ptr<Hosted> make(Napi::Env env, std::shared_ptr<Threaded<T>> object) {
    std::shared_ptr<Hosted> hosted(new Hosted(env, std::move(object)));
    // Registered after the channel's own clean-up, and so run before it: the thread, which uses the
    // channel, has ended by then.
    hosted->hook_ = std::make_unique<Hook>(
        env.AddCleanupHook(std::function<void()>([self = hosted.get()] { self->end(); })));
    return hosted;
  }

  ~Hosted() {
    // The channel goes with the environment, before the last references to this object do.
    if (ended_) return;
    object_->stop();
    if (hook_ && !hook_->IsEmpty()) hook_->Remove(env_);
    channel_.Release();
  }

  /// Runs `use` on the object's thread and settles a promise with `convert` of what it gave.
  /// `kept` lives until then, and goes on the JavaScript thread.
  template <typename R>
  Napi::Promise call(std::function<R(T&)> use, std::function<Napi::Value(Napi::Env, R&)> convert,
                     std::shared_ptr<void> kept = nullptr) {
    leave_team();
    auto owned = std::make_unique<CallFor<R>>(env_, std::move(convert), std::move(kept));
    Answer<R>& answer = owned->answer;
    Call* call = owned.get();
    const bool posted = object_->post([this, call, &answer, use = std::move(use)](T& object) {
      answer.find([&] { return use(object); });
      // Refused only while the environment closes; nobody is left to hear it.
      (void)channel_.NonBlockingCall(call);
    });
    if (!posted) {
      answer.find([this]() -> R { throw Error(ErrorCode::kDisposed, object_->gone()); });
      answer.settle(env_);
      return answer.promise();
    }
    if (pending_.empty()) {
      // While somebody waits, the event loop goes on and this object is there.
      channel_.Ref(env_);
      self_ = this->shared_from_this();
    }
    pending_.emplace(call, std::move(owned));
    return answer.promise();
  }

  /// Runs `use` at once, on the JavaScript thread. Throws what it throws, and Error(kDisposed).
  template <typename R>
  R call_here(const std::function<R(T&)>& use) {
    std::optional<R> result;
    std::exception_ptr failure;
    const bool ran = object_->run([&](T& object) {
      try {
        result = use(object);
      } catch (...) {
        failure = std::current_exception();
      }
    });
    if (!ran) throw Error(ErrorCode::kDisposed, object_->gone());
    if (failure) std::rethrow_exception(failure);
    return std::move(*result);
  }

  /// Does not wait for what was called before, which still finds the object.
  void dispose() { object_->dispose(); }

 private:
  template <typename R>
  struct CallFor : Call {
    CallFor(Napi::Env env, std::function<Napi::Value(Napi::Env, R&)> convert,
            std::shared_ptr<void> to_keep)
        : answer(env, std::move(convert)), kept(std::move(to_keep)) {}
    void settle(Napi::Env env) override { answer.settle(env); }

    Answer<R> answer;
    std::shared_ptr<void> kept;
  };

  using Hook = Napi::Env::CleanupHook<std::function<void()>>;

  Hosted(Napi::Env env, std::shared_ptr<Threaded<T>> object)
      : env_(env), object_(std::move(object)), channel_(channel(env)) {
    channel_.Unref(env);
  }

  void settle(Napi::Env env, Call* call) override {
    auto node = pending_.extract(call);
    std::shared_ptr<Hosted> last;
    if (pending_.empty()) {
      channel_.Unref(env);
      last = std::move(self_);
    }
    node.mapped()->settle(env);
  }

  /// The environment goes away, perhaps with calls under way.
  void end() {
    ended_ = true;
    object_->stop();
    pending_.clear();
    const std::shared_ptr<Hosted> last = std::move(self_);
  }

  Napi::Env env_;
  std::shared_ptr<Threaded<T>> object_;
  Channel channel_;
  std::unique_ptr<Hook> hook_;
  bool ended_ = false;
  std::unordered_map<Call*, std::unique_ptr<Call>> pending_;
  std::shared_ptr<Hosted> self_;
};

}  // namespace flexae::addon
