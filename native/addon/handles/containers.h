#pragma once

#include <napi.h>

namespace flexae::addon {

/// openContainer(), createContainer(), readImages() and stampImages() of ts/addon/types.ts.
Napi::Value open_container(const Napi::CallbackInfo& info);
Napi::Value create_container(const Napi::CallbackInfo& info);
Napi::Value read_images(const Napi::CallbackInfo& info);
Napi::Value stamp_images(const Napi::CallbackInfo& info);

}  // namespace flexae::addon
