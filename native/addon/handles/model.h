#pragma once

#include <napi.h>

namespace flexae::addon {

/// summarize() and loadModel() of ts/addon/types.ts.
Napi::Value summarize(const Napi::CallbackInfo& info);
Napi::Value load_model(const Napi::CallbackInfo& info);

}  // namespace flexae::addon
