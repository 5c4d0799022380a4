#include "addon/convert/views.h"

#include <ATen/ATen.h>

#include <string>

#include "addon/convert/values.h"
#include "core/base/error.h"

namespace flexae::addon {
namespace {

Viewed view(const Napi::Value& value, napi_typedarray_type kind, at::ScalarType type,
            const char* name) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != kind) {
    throw Error(ErrorCode::kConfig,
                std::string("Expected a ") + at::toString(type) + " array for " + name);
  }
  const auto array = value.As<Napi::TypedArray>();
  auto* data = static_cast<char*>(array.ArrayBuffer().Data()) + array.ByteOffset();
  return {at::from_blob(data, {static_cast<int64_t>(array.ElementLength())}, type), keep(value)};
}

}  // namespace

Viewed view_floats(const Napi::Value& value, const Napi::Value& columns, const char* name) {
  Viewed viewed = view(value, napi_float32_array, at::kFloat, name);
  const int64_t dims = columns.IsNumber() ? columns.As<Napi::Number>().Int64Value() : 0;
  if (dims < 1 || viewed.tensor.numel() % dims != 0) {
    throw Error(ErrorCode::kConfig, std::string("Expected N×dims numbers for ") + name);
  }
  viewed.tensor = viewed.tensor.view({-1, dims});
  return viewed;
}

Viewed view_labels(const Napi::Value& value, const char* name) {
  return view(value, napi_int32_array, at::kInt, name);
}

at::Tensor copy_doubles(const Napi::Value& value, const char* name) {
  return view(value, napi_float64_array, at::kDouble, name).tensor.clone();
}

}  // namespace flexae::addon
