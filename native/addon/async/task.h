#pragma once

#include <napi.h>

#include <functional>
#include <optional>
#include <utility>

#include "addon/async/worker.h"
#include "addon/convert/errors.h"
#include "core/base/thread_team.h"

namespace flexae::addon {

/// A promise, and what some thread found out for it.
template <typename T>
class Answer {
 public:
  Answer(Napi::Env env, std::function<Napi::Value(Napi::Env, T&)> convert)
      : deferred_(Napi::Promise::Deferred::New(env)), convert_(std::move(convert)) {}

  [[nodiscard]] Napi::Promise promise() const { return deferred_.Promise(); }

  /// Keeps what `work` gives or throws. On any thread.
  template <typename Work>
  void find(Work&& work) {
    try {
      result_ = work();
    } catch (...) {
      failure_ = current_failure();
    }
  }

  /// On the JavaScript thread, when it is found.
  void settle(Napi::Env env) {
    if (failure_) {
      deferred_.Reject(to_js(env, *failure_).Value());
      return;
    }
    try {
      deferred_.Resolve(convert_(env, *result_));
    } catch (const Napi::Error& error) {
      deferred_.Reject(error.Value());
    }
  }

 private:
  Napi::Promise::Deferred deferred_;
  std::function<Napi::Value(Napi::Env, T&)> convert_;
  std::optional<T> result_;
  std::optional<Failure> failure_;
};

/// Runs `work` on a thread of the pool and settles a promise with `convert` of what it gave.
template <typename T>
class Task : public Napi::AsyncWorker {
 public:
  static Napi::Promise run(Napi::Env env, std::function<T()> work,
                           std::function<Napi::Value(Napi::Env, T&)> convert) {
    leave_team();
    auto* task = new Task(env, std::move(work), std::move(convert));
    const Napi::Promise promise = task->answer_.promise();
    task->Queue();
    return promise;
  }

 protected:
  void Execute() override {
    const TeamScope scope;
    answer_.find(work_);
  }
  void OnOK() override { answer_.settle(Env()); }

 private:
  Task(Napi::Env env, std::function<T()> work, std::function<Napi::Value(Napi::Env, T&)> convert)
      : Napi::AsyncWorker(env, "flexible-autoencoder"),
        answer_(env, std::move(convert)),
        work_(std::move(work)) {}

  Answer<T> answer_;
  std::function<T()> work_;
};

}  // namespace flexae::addon
