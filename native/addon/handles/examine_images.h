#pragma once

#include <napi.h>

namespace flexae::addon {

/// examineImages() of ts/addon/types.ts.
Napi::Value examine_images(const Napi::CallbackInfo& info);

}  // namespace flexae::addon
