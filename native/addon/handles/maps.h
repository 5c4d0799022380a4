#pragma once

#include <napi.h>

namespace flexae::addon {

/// Maps of embeddings; Addon of ts/addon/types.ts has the arguments.
Napi::Value fit_umap(const Napi::CallbackInfo& info);
Napi::Value transform_umap(const Napi::CallbackInfo& info);
Napi::Value fit_pca(const Napi::CallbackInfo& info);
Napi::Value transform_pca(const Napi::CallbackInfo& info);
Napi::Value trustworthiness(const Napi::CallbackInfo& info);

}  // namespace flexae::addon
