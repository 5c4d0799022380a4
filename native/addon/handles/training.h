#pragma once

#include <napi.h>

namespace flexae::addon {

/// train() of ts/addon/types.ts: starts a training on a thread of its own and gives its handle.
Napi::Value train(const Napi::CallbackInfo& info);

/// Lets the process end while a training runs. Node runs no clean-up hooks when process.exit() or
/// an uncaught error ends the main thread: it goes on to exit(), which destroys libtorch's statics
/// under the training thread. The process then ends at once instead, without those destructors;
/// files are renamed into place whole, so none is left half written. Call once an environment.
void watch_exit(Napi::Env env);

}  // namespace flexae::addon
