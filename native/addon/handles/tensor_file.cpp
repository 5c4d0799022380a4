#include "addon/handles/tensor_file.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "addon/async/task.h"
#include "addon/convert/arguments.h"
#include "addon/convert/errors.h"
#include "addon/convert/tensors.h"
#include "addon/convert/values.h"
#include "core/files/safetensors.h"

namespace flexae::addon {
namespace {

/// What a file holds, and `kept`, which holds what it reads.
TensorFile to_tensor_file(const Napi::Object& given, const Napi::Object& metadata,
                          std::vector<std::shared_ptr<void>>& kept) {
  TensorFile file;
  file.tensors = to_named_tensors(given, kept);
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
        [path = to_path(info[0], "path"),
         checksum = get_boolean(to_object(info[1], "options"), "requireChecksum")] {
          return read_tensor_file(path, checksum);
        },
        [](Napi::Env env, TensorFile& file) -> Napi::Value {
          Napi::Object tensors = Napi::Object::New(env);
          for (auto& [name, tensor] : file.tensors) {
            Napi::Object entry = Napi::Object::New(env);
            entry.Set("values", to_typed_array(env, tensor));
            entry.Set("shape", to_js(env, tensor.sizes().vec()));
            tensors.Set(name, entry);
            tensor.reset();
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
