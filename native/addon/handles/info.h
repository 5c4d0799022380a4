#pragma once

#include <napi.h>

namespace flexae::addon {

/// versions() and hardware() of ts/addon/types.ts.
Napi::Value versions(const Napi::CallbackInfo& info);
Napi::Value hardware(const Napi::CallbackInfo& info);

}  // namespace flexae::addon
