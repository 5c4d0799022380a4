#pragma once

#include <napi.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "addon/async/task.h"

namespace flexae::addon {

/// Runs `work` on a thread of the pool; it polls whether JavaScript has asked it to end. Gives
/// {result, cancel()}, Job of ts/addon/types.ts: the promise has what `convert` makes of what it
/// gave, or null where it gave nothing.
template <typename T>
Napi::Object run_job(Napi::Env env, std::function<std::optional<T>(const std::atomic<bool>&)> work,
                     std::function<Napi::Value(Napi::Env, T&)> convert) {
  const auto cancelled = std::make_shared<std::atomic<bool>>(false);
  Napi::Object job = Napi::Object::New(env);
  job.Set("result", Task<std::optional<T>>::run(
                        env, [work = std::move(work), cancelled] { return work(*cancelled); },
                        [convert = std::move(convert)](Napi::Env env, std::optional<T>& result) {
                          return result ? convert(env, *result) : env.Null();
                        }));
  job.Set("cancel", Napi::Function::New(env, [cancelled](const Napi::CallbackInfo& /*info*/) {
            *cancelled = true;
          }));
  return job;
}

}  // namespace flexae::addon
