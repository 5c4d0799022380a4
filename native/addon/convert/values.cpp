#include "addon/convert/values.h"

#include <ATen/ATen.h>

#include <cstring>

#include "data/files/path_text.h"

namespace flexae::addon {

std::shared_ptr<void> keep(const Napi::Value& value) {
  return std::make_shared<Napi::ObjectReference>(Napi::Persistent(value.As<Napi::Object>()));
}

Napi::Array to_js(Napi::Env env, const std::vector<int64_t>& values) {
  Napi::Array array = Napi::Array::New(env, values.size());
  for (uint32_t i = 0; i < values.size(); ++i) array.Set(i, static_cast<double>(values[i]));
  return array;
}

Napi::Array to_js(Napi::Env env, const std::vector<std::string>& values) {
  Napi::Array array = Napi::Array::New(env, values.size());
  for (uint32_t i = 0; i < values.size(); ++i) array.Set(i, values[i]);
  return array;
}

Napi::Value path_to_js(Napi::Env env, const std::string& path) {
  return Napi::String::New(env, path_to_utf16(path));
}

Napi::Array paths_to_js(Napi::Env env, const std::vector<std::string>& paths) {
  Napi::Array array = Napi::Array::New(env, paths.size());
  for (uint32_t i = 0; i < paths.size(); ++i) array.Set(i, path_to_js(env, paths[i]));
  return array;
}

Napi::Object to_js(Napi::Env env, const Metrics::Values& values) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("loss", values.loss);
  object.Set("accuracy", values.accuracy);
  object.Set("mse", values.mse);
  object.Set("psnr", values.psnr);
  return object;
}

Napi::Object to_js(Napi::Env env, const EpochReport& report) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("epoch", static_cast<double>(report.epoch));
  object.Set("train", to_js(env, report.train));
  object.Set("valid", to_js(env, report.valid));
  object.Set("seconds", report.seconds);
  object.Set("imagesPerSecond", report.images_per_second);
  object.Set("learningRate", report.learning_rate);
  object.Set("best", report.best);
  object.Set("bestEpoch", static_cast<double>(report.best_epoch));
  return object;
}

Napi::Value to_typed_array(Napi::Env env, const at::Tensor& tensor) {
  at::Tensor host = tensor.cpu().contiguous();
  if (at::isReducedFloatingType(host.scalar_type())) host = host.to(at::kFloat);
  if (host.scalar_type() == at::kLong) host = host.to(at::kDouble);
  Napi::ArrayBuffer buffer = Napi::ArrayBuffer::New(env, host.nbytes());
  if (host.nbytes() > 0) std::memcpy(buffer.Data(), host.const_data_ptr(), host.nbytes());
  const auto length = static_cast<size_t>(host.numel());
  if (host.scalar_type() == at::kByte) return Napi::Uint8Array::New(env, length, buffer, 0);
  if (host.scalar_type() == at::kInt) return Napi::Int32Array::New(env, length, buffer, 0);
  if (host.scalar_type() == at::kDouble) return Napi::Float64Array::New(env, length, buffer, 0);
  return Napi::Float32Array::New(env, length, buffer, 0);
}

}  // namespace flexae::addon
