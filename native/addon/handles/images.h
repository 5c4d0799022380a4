#pragma once

#include <napi.h>

namespace flexae::addon {

/// scanFolder() and decodeImages() of ts/addon/types.ts.
Napi::Value scan_folder(const Napi::CallbackInfo& info);
Napi::Value decode_images(const Napi::CallbackInfo& info);

}  // namespace flexae::addon
