#pragma once

#include <napi.h>

namespace flexae::addon {

/// readCheckpoint(), lockFolder() and isFolderHeld() of ts/addon/types.ts.
Napi::Value read_checkpoint(const Napi::CallbackInfo& info);
Napi::Value lock_folder(const Napi::CallbackInfo& info);
Napi::Value is_folder_held(const Napi::CallbackInfo& info);

}  // namespace flexae::addon
