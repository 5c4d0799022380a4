#pragma once

#include <napi.h>

namespace flexae::addon {

/// Arrays of JavaScript's in safetensors files; Addon of ts/addon/types.ts has the arguments.
Napi::Value write_tensors(const Napi::CallbackInfo& info);
Napi::Value read_tensors(const Napi::CallbackInfo& info);

}  // namespace flexae::addon
