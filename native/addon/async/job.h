#pragma once

#include <c10/util/Exception.h>
#include <napi.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "addon/async/task.h"
#include "analysis/progress.h"
#include "core/base/error.h"

namespace flexae::addon {

/// What a job and JavaScript tell each other while it runs.
struct JobState {
  std::atomic<bool> cancelled = false;
  std::atomic<double> share = 0;  ///< Of the work that is done, 0…1.

  /// What work reports to: it stops when JavaScript asked it to.
  [[nodiscard]] Progress progress() {
    return [this](double done) {
      share = done;
      return !cancelled;
    };
  }
};

/// What `work` returns. \throws Error (kMemory) that says what to do where the memory of a GPU is
/// too small for it.
template <typename Work>
auto in_device_memory(const Work& work) {
  try {
    return work();
  } catch (const c10::OutOfMemoryError&) {
    throw Error(ErrorCode::kMemory, "The GPU's memory ran out.\nUse --device cpu, or fewer rows.");
  }
}

/// Runs `work` on a thread of the pool. Gives {result, cancel(), progress()}, Job of
/// ts/addon/types.ts: the promise has what `convert` makes of what it gave, or null where it gave
/// nothing or threw Cancelled.
template <typename T>
Napi::Object run_job(Napi::Env env, std::function<std::optional<T>(JobState&)> work,
                     std::function<Napi::Value(Napi::Env, T&)> convert) {
  const auto state = std::make_shared<JobState>();
  Napi::Object job = Napi::Object::New(env);
  job.Set("result", Task<std::optional<T>>::run(
                        env,
                        [work = std::move(work), state]() -> std::optional<T> {
                          try {
                            return in_device_memory([&] { return work(*state); });
                          } catch (const Cancelled&) {
                            return std::nullopt;
                          }
                        },
                        [convert = std::move(convert)](Napi::Env env, std::optional<T>& result) {
                          return result ? convert(env, *result) : env.Null();
                        }));
  job.Set("cancel", Napi::Function::New(env, [state](const Napi::CallbackInfo& /*info*/) {
            state->cancelled = true;
          }));
  job.Set("progress", Napi::Function::New(env, [state](const Napi::CallbackInfo& info) {
            return Napi::Number::New(info.Env(), state->share);
          }));
  return job;
}

}  // namespace flexae::addon
