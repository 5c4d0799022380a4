#pragma once

#include <napi.h>

namespace flexae::addon {

/// benchmark() of ts/addon/types.ts.
Napi::Value benchmark(const Napi::CallbackInfo& info);

}  // namespace flexae::addon
