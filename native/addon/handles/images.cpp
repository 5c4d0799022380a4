#include "addon/handles/images.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "addon/async/job.h"
#include "addon/async/parallel.h"
#include "addon/async/task.h"
#include "addon/convert/arguments.h"
#include "addon/convert/values.h"
#include "core/base/error.h"
#include "data/decode.h"
#include "data/files/path_text.h"
#include "data/source/scan.h"

namespace flexae::addon {
namespace {

/// A path, or the encoded bytes of an image.
using Encoded = std::variant<std::string, std::vector<uint8_t>>;

std::optional<std::string> decode(const Encoded& image, const DecodeSpec& spec, uint8_t* out) {
  if (const auto* path = std::get_if<std::string>(&image)) return decode_file(*path, spec, out);
  return decode_bytes(std::get<std::vector<uint8_t>>(image), spec, out);
}

std::string name_of(const Encoded& image, size_t index) {
  if (const auto* path = std::get_if<std::string>(&image)) return shown_path(*path);
  return "number " + std::to_string(index);
}

/// Decodes all, in parallel, to N×H×W×C. Throws Error(kData) naming the first bad image.
at::Tensor decode_all(const std::vector<Encoded>& images, const Load& load) {
  const DecodeSpec& spec = load.spec;
  at::Tensor out = at::empty(
      {static_cast<int64_t>(images.size()), spec.height, spec.width, spec.channels}, at::kByte);
  std::vector<std::optional<std::string>> reasons(images.size());
  in_parallel(images.size(), load.workers, [&](size_t i) {
    reasons[i] = decode(images[i], spec,
                        out.mutable_data_ptr<uint8_t>() + static_cast<int64_t>(i) * spec.bytes());
  });
  for (size_t i = 0; i < images.size(); ++i) {
    if (reasons[i]) {
      throw Error(ErrorCode::kData,
                  "Image " + name_of(images[i], i) + " cannot be used: " + *reasons[i]);
    }
  }
  return out.permute({0, 3, 1, 2}).contiguous();
}

Encoded to_encoded(const Napi::Value& value) {
  if (value.IsString()) return to_path(value, "images");
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    throw Error(ErrorCode::kConfig, "Expected paths or Uint8Arrays for images");
  }
  const auto bytes = value.As<Napi::Uint8Array>();
  return std::vector<uint8_t>(bytes.Data(), bytes.Data() + bytes.ElementLength());
}

}  // namespace

Napi::Value scan_folder(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const std::string folder = to_path(info[0], "dir");
    const auto found = std::make_shared<std::atomic<int64_t>>(0);
    Napi::Object job = run_job<FolderScan>(
        env,
        [folder, found](JobState& state) -> std::optional<FolderScan> {
          try {
            return flexae::scan_folder(folder, [&](int64_t images) {
              *found = images;
              return !state.cancelled;
            });
          } catch (const ScanCancelled&) {
            return std::nullopt;
          }
        },
        [](Napi::Env env, FolderScan& scan) -> Napi::Value {
          Napi::Object object = Napi::Object::New(env);
          object.Set("files", paths_to_js(env, scan.files));
          Napi::Array classes = Napi::Array::New(env, scan.classes.size());
          for (uint32_t i = 0; i < scan.classes.size(); ++i) {
            classes.Set(i, shown_path(scan.classes[i]));
          }
          object.Set("classes", classes);
          Napi::Int32Array labels = Napi::Int32Array::New(env, scan.labels.size());
          std::copy(scan.labels.begin(), scan.labels.end(), labels.Data());
          object.Set("labels", labels);
          object.Set("loose", static_cast<double>(scan.loose));
          object.Set("others", static_cast<double>(scan.others));
          return object;
        });
    job.Set("images", Napi::Function::New(env, [found](const Napi::CallbackInfo& info) {
              return Napi::Number::New(info.Env(), static_cast<double>(found->load()));
            }));
    return job;
  });
}

Napi::Value decode_images(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    if (!info[0].IsArray()) throw Error(ErrorCode::kConfig, "Expected a list for images");
    const auto array = info[0].As<Napi::Array>();
    std::vector<Encoded> images;
    for (uint32_t i = 0; i < array.Length(); ++i) images.push_back(to_encoded(array.Get(i)));
    const Napi::Object shape = to_object(info[1], "shape");
    const int64_t channels = get_integer(shape, "channels");
    const int64_t height = get_integer(shape, "height");
    const int64_t width = get_integer(shape, "width");
    constexpr int64_t kMaxSide = 1 << 16;
    if ((channels != 1 && channels != 3) || height < 1 || height > kMaxSide || width < 1 ||
        width > kMaxSide) {
      throw Error(ErrorCode::kConfig,
                  "Expected sizes from 1 to 65536 and 1 or 3 channels for shape");
    }
    const Load load = to_load(to_object(info[2], "load"), channels, height, width);
    return Task<at::Tensor>::run(
        env, [images = std::move(images), load] { return decode_all(images, load); },
        [](Napi::Env env, at::Tensor& out) { return to_typed_array(env, out); });
  });
}

}  // namespace flexae::addon
