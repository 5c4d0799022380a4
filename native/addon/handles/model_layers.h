#pragma once

#include <napi.h>

namespace flexae::addon {

/// describeLayers() of ts/addon/types.ts: the layers of a network.
Napi::Value describe_layers(const Napi::CallbackInfo& info);
/// writeModel() of ts/addon/types.ts: the files of a model whose weights come from elsewhere.
Napi::Value write_model(const Napi::CallbackInfo& info);
/// readModelLayers() of ts/addon/types.ts: a model file for exporters.
Napi::Value read_model_layers(const Napi::CallbackInfo& info);

}  // namespace flexae::addon
