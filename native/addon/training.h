#pragma once

#include <napi.h>

namespace flexae::addon {

/// train() of ts/addon/types.ts: starts a training on a thread of its own and gives its handle.
Napi::Value train(const Napi::CallbackInfo& info);

}  // namespace flexae::addon
