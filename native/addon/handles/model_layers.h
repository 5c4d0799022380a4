#pragma once

#include <napi.h>

namespace flexae::addon {

/// readModelLayers() of ts/addon/types.ts: a model file for exporters.
Napi::Value read_model_layers(const Napi::CallbackInfo& info);

}  // namespace flexae::addon
