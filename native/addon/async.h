#pragma once

#include <napi.h>

#include <functional>
#include <optional>
#include <utility>

#include "addon/errors.h"

namespace flexae::addon {

/// Runs `work` on a thread of the pool and settles a promise with `convert` of what it gave.
template <typename T>
class Task : public Napi::AsyncWorker {
 public:
  static Napi::Promise run(Napi::Env env, std::function<T()> work,
                           std::function<Napi::Value(Napi::Env, T&)> convert) {
    auto* task = new Task(env, std::move(work), std::move(convert));
    const Napi::Promise promise = task->deferred_.Promise();
    task->Queue();
    return promise;
  }

 protected:
  void Execute() override {
    try {
      result_ = work_();
    } catch (...) {
      failure_ = current_failure();
    }
  }

  void OnOK() override {
    if (failure_) {
      deferred_.Reject(to_js(Env(), *failure_).Value());
      return;
    }
    try {
      deferred_.Resolve(convert_(Env(), *result_));
    } catch (const Napi::Error& error) {
      deferred_.Reject(error.Value());
    }
  }

 private:
  Task(Napi::Env env, std::function<T()> work, std::function<Napi::Value(Napi::Env, T&)> convert)
      : Napi::AsyncWorker(env, "flexible-autoencoder"),
        deferred_(Napi::Promise::Deferred::New(env)),
        work_(std::move(work)),
        convert_(std::move(convert)) {}

  Napi::Promise::Deferred deferred_;
  std::function<T()> work_;
  std::function<Napi::Value(Napi::Env, T&)> convert_;
  std::optional<T> result_;
  std::optional<Failure> failure_;
};

}  // namespace flexae::addon
