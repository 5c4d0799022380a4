#include "addon/handles/tensor_file.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "addon/async/task.h"
#include "addon/convert/arguments.h"
#include "addon/convert/errors.h"
#include "addon/convert/values.h"
#include "addon/convert/views.h"
#include "core/base/error.h"
#include "core/files/safetensors.h"

namespace flexae::addon {
namespace {

/// The sizes of an array, whose product is its length.
std::vector<int64_t> to_shape(const Napi::Value& value, size_t length, const std::string& name) {
  std::vector<int64_t> shape;
  // An array of no numbers has no other shape that a file can say.
  double product = 1;
  if (value.IsArray()) {
    const Napi::Array array = value.As<Napi::Array>();
    for (uint32_t i = 0; i < array.Length(); ++i) {
      shape.push_back(to_integer(array.Get(i), "shape of " + name));
      product *= static_cast<double>(shape.back());
      if (shape.back() < 0) product = -1;
    }
  }
  if (shape.empty() || product != static_cast<double>(length)) {
    throw Error(ErrorCode::kConfig,
                "Expected a shape of " + std::to_string(length) + " numbers for " + name);
  }
  return shape;
}

/// The arrays of `given`, name by name, as {values, shape}; `kept` holds what they read.
TensorFile to_tensor_file(const Napi::Object& given, const Napi::Object& metadata,
                          std::vector<std::shared_ptr<void>>& kept) {
  TensorFile file;
  for (const std::string& name : to_strings(given.GetPropertyNames(), "names")) {
    const Napi::Object entry = get_object(given, name.c_str());
    const Napi::Value values = entry.Get("values");
    const size_t length =
        values.IsTypedArray() ? values.As<Napi::TypedArray>().ElementLength() : size_t{0};
    const std::vector<int64_t> shape = to_shape(entry.Get("shape"), length, name);
    at::Tensor tensor;
    if (values.IsTypedArray() &&
        values.As<Napi::TypedArray>().TypedArrayType() == napi_float64_array) {
      tensor = copy_doubles(values, name.c_str());
    } else {
      Viewed viewed = view_floats(values, Napi::Number::New(given.Env(), 1), name.c_str());
      tensor = viewed.tensor;
      kept.push_back(viewed.kept);
    }
    file.tensors.emplace_back(name, tensor.view(shape));
  }
  for (const std::string& name : to_strings(metadata.GetPropertyNames(), "names")) {
    file.metadata[name] = get_string(metadata, name.c_str());
  }
  return file;
}

}  // namespace

Napi::Value write_tensors(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    std::vector<std::shared_ptr<void>> kept;
    TensorFile file =
        to_tensor_file(to_object(info[1], "tensors"), to_object(info[2], "metadata"), kept);
    return Task<bool>::run(
        info.Env(),
        [path = to_path(info[0], "path"), file = std::move(file)] {
          write_tensor_file(path, file);
          return true;
        },
        [kept = std::move(kept)](Napi::Env env, bool&) { return env.Undefined(); });
  });
}

Napi::Value read_tensors(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Task<TensorFile>::run(
        info.Env(),
        [path = to_path(info[0], "path")] {
          return read_tensor_file(path, /*require_checksum=*/true);
        },
        [](Napi::Env env, TensorFile& file) -> Napi::Value {
          Napi::Object tensors = Napi::Object::New(env);
          for (const auto& [name, tensor] : file.tensors) {
            Napi::Object entry = Napi::Object::New(env);
            entry.Set("values", to_typed_array(env, tensor));
            entry.Set("shape", to_js(env, tensor.sizes().vec()));
            tensors.Set(name, entry);
          }
          Napi::Object metadata = Napi::Object::New(env);
          for (const auto& [name, text] : file.metadata) metadata.Set(name, text);
          Napi::Object object = Napi::Object::New(env);
          object.Set("tensors", tensors);
          object.Set("metadata", metadata);
          return object;
        });
  });
}

}  // namespace flexae::addon
