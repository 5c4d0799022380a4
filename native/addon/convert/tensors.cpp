#include "addon/convert/tensors.h"

#include <string>

#include "addon/convert/arguments.h"
#include "addon/convert/views.h"
#include "core/base/error.h"

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

}  // namespace

NamedTensors to_named_tensors(const Napi::Object& given, std::vector<std::shared_ptr<void>>& kept) {
  NamedTensors tensors;
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
    tensors.emplace_back(name, tensor.view(shape));
  }
  return tensors;
}

}  // namespace flexae::addon
