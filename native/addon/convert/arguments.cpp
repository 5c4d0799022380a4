#include "addon/convert/arguments.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>

#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/thread_team.h"
#include "core/device/device.h"
#include "core/spec/model_config_json.h"
#include "data/files/cache_folder.h"
#include "data/files/path_text.h"
#include "data/source/memory_source.h"

namespace flexae::addon {
namespace {

[[noreturn]] void wrong(const char* what, const std::string& name, const Napi::Value& value) {
  const std::string received = value.IsUndefined() ? "nothing" : value.ToString().Utf8Value();
  throw Error(ErrorCode::kConfig,
              "Expected " + std::string(what) + " for " + name + " but received " + received);
}

Napi::Array to_array(const Napi::Value& value, const std::string& name) {
  if (!value.IsArray()) wrong("a list", name, value);
  return value.As<Napi::Array>();
}

/// Parses a JSON text of the TypeScript side and reads it. What is wrong with it is wrong with a
/// setting here, not with a file.
template <typename Read>
auto read_json(const std::string& text, const char* name, const Read& read) {
  try {
    return read(Json::parse(text));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kModel) throw;
    throw Error(ErrorCode::kConfig, std::string(name) + ": " + error.what());
  }
}

TrainerConfig with_training(ModelConfig model, const Napi::Object& o) {
  TrainerConfig c{read_json(get_string(o, "training"), "training", training_settings_from_json)};
  c.model = std::move(model);
  return c;
}

Interpolation interpolation_from_name(const std::string& name) {
  if (name == "area") return Interpolation::kArea;
  if (name == "bilinear") return Interpolation::kBilinear;
  if (name == "nearest") return Interpolation::kNearest;
  throw Error(ErrorCode::kConfig,
              "Expected area, bilinear or nearest for interpolation but received '" + name + "'");
}

}  // namespace

int64_t to_integer(const Napi::Value& value, const std::string& name) {
  constexpr double kExact = 9007199254740992.0;
  if (!value.IsNumber()) wrong("an integer", name, value);
  const double number = value.As<Napi::Number>().DoubleValue();
  if (number != std::floor(number) || std::abs(number) > kExact) wrong("an integer", name, value);
  return static_cast<int64_t>(number);
}

int64_t get_integer(const Napi::Object& object, const char* name) {
  return to_integer(object.Get(name), name);
}

double get_number(const Napi::Object& object, const char* name) {
  const Napi::Value value = object.Get(name);
  if (!value.IsNumber()) wrong("a number", name, value);
  return value.As<Napi::Number>().DoubleValue();
}

bool get_boolean(const Napi::Object& object, const char* name) {
  const Napi::Value value = object.Get(name);
  if (!value.IsBoolean()) wrong("true or false", name, value);
  return value.As<Napi::Boolean>().Value();
}

std::string get_string(const Napi::Object& object, const char* name) {
  return to_text(object.Get(name), name);
}

uint64_t get_seed(const Napi::Object& object) {
  return static_cast<uint64_t>(get_integer(object, "seed"));
}

Napi::Object get_object(const Napi::Object& object, const char* name) {
  return to_object(object.Get(name), name);
}

Napi::Object to_object(const Napi::Value& value, const char* name) {
  if (!value.IsObject()) wrong("an object", name, value);
  return value.As<Napi::Object>();
}

std::string to_text(const Napi::Value& value, const char* name) {
  if (!value.IsString()) wrong("a string", name, value);
  return value.As<Napi::String>().Utf8Value();
}

std::optional<at::Device> to_compute_device(const Napi::Value& value) {
  if (value.IsUndefined()) return std::nullopt;
  const at::Device device = resolve_device(to_text(value, "device"));
  return device.is_cpu() ? std::nullopt : std::optional(device);
}

std::vector<std::string> to_strings(const Napi::Value& value, const char* name) {
  const Napi::Array array = to_array(value, name);
  std::vector<std::string> values;
  values.reserve(array.Length());
  for (uint32_t i = 0; i < array.Length(); ++i) values.push_back(to_text(array.Get(i), name));
  return values;
}

std::string to_path(const Napi::Value& value, const char* name) {
  if (!value.IsString()) wrong("a string", name, value);
  return path_from_utf16(value.As<Napi::String>().Utf16Value());
}

std::vector<std::string> to_paths(const Napi::Value& value, const char* name) {
  const Napi::Array array = to_array(value, name);
  std::vector<std::string> paths;
  paths.reserve(array.Length());
  for (uint32_t i = 0; i < array.Length(); ++i) paths.push_back(to_path(array.Get(i), name));
  return paths;
}

PathList to_path_list(const Napi::Value& value, const char* name) {
  const Napi::Array array = to_array(value, name);
  const uint32_t count = array.Length();
  PathList paths;
  paths.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    // A million handles would be kept until the call returns.
    const Napi::HandleScope scope(array.Env());
    paths.add(to_path(array.Get(i), name));
  }
  return paths;
}

ModelConfig to_network(const Napi::Value& value) {
  return read_json(to_text(value, "network"), "network", model_config_from_json);
}

TrainerConfig to_benchmark(const Napi::Object& o) {
  return with_training(to_network(o.Get("network")), o);
}

TrainerConfig to_trainer(const Napi::Object& o) {
  const std::string config_json = get_string(o, "configJson");
  ModelConfig model = read_json(config_json, "configJson", [](const Json& json) {
    return model_config_from_json(json.at("model"));
  });
  TrainerConfig c = with_training(std::move(model), o);
  c.config_json = config_json;
  c.run_dir = get_string(o, "runDir");
  c.settings_json = get_string(o, "settingsJson");
  c.resume_from = get_string(o, "resumeFrom");
  c.weights_from = get_string(o, "weightsFrom");
  c.partial_weights = get_boolean(o, "partialWeights");
  c.progress_interval_ms = get_integer(o, "progressInterval");
  validate(c);
  return c;
}

Load to_load(const Napi::Object& object, int64_t channels, int64_t height, int64_t width) {
  Load load;
  load.spec.channels = static_cast<int>(channels);
  load.spec.height = static_cast<int>(height);
  load.spec.width = static_cast<int>(width);
  load.spec.interpolation = interpolation_from_name(get_string(object, "interpolation"));
  const int64_t workers = get_integer(object, "workers");
  if (workers < 0 || workers > 1024) {
    throw Error(ErrorCode::kConfig, "Expected workers to be between 0 and 1024 but received " +
                                        std::to_string(workers));
  }
  load.workers = static_cast<int>(workers);
  load.spec.max_pixels = get_integer(object, "maxPixels");
  if (load.spec.max_pixels < 1 || load.spec.max_pixels > kMostPixels) {
    throw Error(ErrorCode::kConfig, "Expected maxPixels to be between 1 and " +
                                        std::to_string(kMostPixels) + " but received " +
                                        std::to_string(load.spec.max_pixels));
  }
  load.cache = cache_kind_from_name(get_string(object, "cache"));
  // Here, on JavaScript's thread, since that is the one that may change the environment.
  load.cache_folder = default_cache_folder(kDecodedFolder);
  return load;
}

namespace {

/// The parts of a set of images, which are all of it.
std::vector<SetPart> to_parts(const Napi::Value& value, size_t images) {
  std::vector<SetPart> parts;
  if (value.IsUndefined()) return parts;
  if (!value.IsArray()) throw Error(ErrorCode::kConfig, "Expected a list for parts");
  const auto array = value.As<Napi::Array>();
  int64_t sum = 0;
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const Napi::Object object = to_object(array.Get(i), "parts");
    const SetPart part{get_integer(object, "images"), get_number(object, "weight")};
    if (part.images < 1 || !(part.weight > 0) || !std::isfinite(part.weight)) {
      throw Error(ErrorCode::kConfig, "Expected images, and a weight above 0, for each of parts");
    }
    sum += part.images;
    parts.push_back(part);
  }
  if (sum != static_cast<int64_t>(images)) {
    throw Error(ErrorCode::kConfig, "Expected parts of all " + std::to_string(images) +
                                        " images but received " + std::to_string(sum));
  }
  return parts;
}

}  // namespace

Source to_source(const Napi::Object& object, const DecodeSpec& spec, const char* name) {
  Source source;
  if (!object.Get("images").IsUndefined()) {
    source.images = to_batch(object.Get("images"), {spec.channels, spec.height, spec.width});
    if (source.images.scalar_type() != at::kByte) {
      throw Error(ErrorCode::kConfig,
                  std::string("Expected a Uint8Array for the images of ") + name);
    }
    source.images = source.images.permute({0, 2, 3, 1}).contiguous();
    return source;
  }
  source.files = to_path_list(object.Get("files"), "files");
  if (source.files.empty()) {
    throw Error(ErrorCode::kData, std::string("There are no images in ") + name + ".");
  }
  source.parts = to_parts(object.Get("parts"), source.files.size());
  return source;
}

OpenSources open_sources(std::vector<SourceRequest> requests, const Load& load, bool pinned,
                         bool once, std::function<void(const std::string&)> note) {
  std::vector<std::unique_ptr<ImageStore>> stores;
  for (SourceRequest& request : requests) {
    if (request.source.images.defined()) continue;
    stores.push_back(std::make_unique<FileStore>(std::move(request.source.files), load.spec));
  }
  CachedStores cached = keep_decoded(
      std::move(stores),
      {.kind = load.cache, .folder = load.cache_folder, .once = once, .note = std::move(note)});

  OpenSources open;
  open.cache = cached.kind;
  auto store = cached.stores.begin();
  for (SourceRequest& request : requests) {
    if (request.source.images.defined()) {
      open.sources.push_back(
          std::make_unique<MemoryBatchSource>(std::move(request.source.images), pinned));
      continue;
    }
    SourceOptions options;
    options.workers = load.workers;
    options.pinned = pinned;
    options.on_bad = std::move(request.on_bad);
    open.sources.push_back(
        std::make_unique<FileBatchSource>(std::move(*store++), std::move(options)));
  }
  return open;
}

at::Tensor view_batch(const Napi::Value& value, const std::vector<int64_t>& image_shape) {
  if (!value.IsTypedArray()) wrong("a Float32Array or Uint8Array", "images", value);
  const auto array = value.As<Napi::TypedArray>();
  at::ScalarType type = at::kByte;
  if (array.TypedArrayType() == napi_float32_array) {
    type = at::kFloat;
  } else if (array.TypedArrayType() != napi_uint8_array &&
             array.TypedArrayType() != napi_uint8_clamped_array) {
    throw Error(
        ErrorCode::kConfig,
        "Expected a Float32Array or Uint8Array for images but received another typed array");
  }
  const int64_t one = image_shape[0] * image_shape[1] * image_shape[2];
  const auto length = static_cast<int64_t>(array.ElementLength());
  if (length == 0 || length % one != 0) {
    throw Error(ErrorCode::kConfig, "Expected a multiple of " + std::to_string(one) +
                                        " values for images (" + std::to_string(image_shape[0]) +
                                        "×" + std::to_string(image_shape[1]) + "×" +
                                        std::to_string(image_shape[2]) + " each) but received " +
                                        std::to_string(length));
  }
  auto* data = static_cast<char*>(array.ArrayBuffer().Data()) + array.ByteOffset();
  return at::from_blob(data, {length / one, image_shape[0], image_shape[1], image_shape[2]}, type);
}

at::Tensor to_batch(const Napi::Value& value, const std::vector<int64_t>& image_shape) {
  const TeamScope scope;
  return view_batch(value, image_shape).clone();
}

}  // namespace flexae::addon
