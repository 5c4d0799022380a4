#pragma once

#include <napi.h>

namespace flexae::addon {

/// What is computed on embeddings; Addon of ts/addon/types.ts has the arguments.
Napi::Value kmeans(const Napi::CallbackInfo& info);
Napi::Value assign(const Napi::CallbackInfo& info);
Napi::Value running_centres(const Napi::CallbackInfo& info);
Napi::Value fit_mixture(const Napi::CallbackInfo& info);
Napi::Value predict_mixture(const Napi::CallbackInfo& info);
Napi::Value silhouette(const Napi::CallbackInfo& info);
Napi::Value clustering_scores(const Napi::CallbackInfo& info);

}  // namespace flexae::addon
