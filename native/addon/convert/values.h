#pragma once

#include <ATen/core/Tensor.h>
#include <napi.h>

#include <memory>
#include <string>
#include <vector>

#include "core/loss/metrics.h"
#include "core/train/checkpoint/training_state.h"

namespace flexae::addon {

/// Keeps a JavaScript object from being collected. To be let go on JavaScript's thread.
std::shared_ptr<void> keep(const Napi::Value& value);

/// Makers of JavaScript values.
Napi::Array to_js(Napi::Env env, const std::vector<int64_t>& values);
Napi::Array to_js(Napi::Env env, const std::vector<std::string>& values);
/// A path of any bytes, as to_path() reads it back; see data/files/path_text.h. A plain Value,
/// since a String that is put into an object goes by way of UTF-8.
Napi::Value path_to_js(Napi::Env env, const std::string& path);
Napi::Array paths_to_js(Napi::Env env, const std::vector<std::string>& paths);
/// Scores of ts/addon/types.ts.
Napi::Object to_js(Napi::Env env, const Metrics::Values& values);
/// EpochScores of ts/addon/types.ts.
Napi::Object to_js(Napi::Env env, const EpochReport& report);
/// A copy as Float32Array, Float64Array, Int32Array or Uint8Array, by the tensor's dtype: fp16 and
/// bf16 become fp32, int64 becomes fp64.
Napi::Value to_typed_array(Napi::Env env, const at::Tensor& tensor);

}  // namespace flexae::addon
