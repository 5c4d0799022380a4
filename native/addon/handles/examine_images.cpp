#include "addon/handles/examine_images.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "addon/async/parallel.h"
#include "addon/async/task.h"
#include "addon/convert/arguments.h"
#include "core/base/error.h"
#include "data/decode.h"

namespace flexae::addon {
namespace {

/// Entry i of each is of image i.
struct Examined {
  std::vector<std::optional<std::string>> reasons;
  std::vector<ImageFacts> facts;
};

Examined examine(const std::vector<std::string>& files, int channels, int64_t max_pixels,
                 int workers) {
  Examined result;
  result.reasons.resize(files.size());
  result.facts.resize(files.size());
  in_parallel(files.size(), workers, [&](size_t i) {
    result.reasons[i] = examine_file(files[i], channels, max_pixels, result.facts[i]);
  });
  return result;
}

Napi::Value examined_to_js(Napi::Env env, const Examined& examined) {
  const size_t count = examined.facts.size();
  Napi::Array reasons = Napi::Array::New(env, count);
  Napi::Int32Array widths = Napi::Int32Array::New(env, count);
  Napi::Int32Array heights = Napi::Int32Array::New(env, count);
  Napi::BigUint64Array hashes = Napi::BigUint64Array::New(env, count);
  Napi::Float32Array deviations = Napi::Float32Array::New(env, count);
  for (size_t i = 0; i < count; ++i) {
    const auto& reason = examined.reasons[i];
    const ImageFacts& facts = examined.facts[i];
    reasons.Set(static_cast<uint32_t>(i),
                reason ? Napi::Value(Napi::String::New(env, *reason)) : env.Null());
    widths[i] = static_cast<int32_t>(facts.width);
    heights[i] = static_cast<int32_t>(facts.height);
    hashes[i] = facts.hash;
    deviations[i] = static_cast<float>(facts.deviation);
  }
  Napi::Object object = Napi::Object::New(env);
  object.Set("reasons", reasons);
  object.Set("widths", widths);
  object.Set("heights", heights);
  object.Set("hashes", hashes);
  object.Set("deviations", deviations);
  return object;
}

}  // namespace

Napi::Value examine_images(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    std::vector<std::string> files = to_paths(info[0], "files");
    const int64_t channels = get_integer(to_object(info[1], "shape"), "channels");
    if (channels != 1 && channels != 3) {
      throw Error(ErrorCode::kConfig, "Expected 1 or 3 channels for shape");
    }
    const Load load = to_load(to_object(info[2], "load"), channels, 1, 1);
    return Task<Examined>::run(
        env,
        [files = std::move(files), load] {
          return examine(files, load.spec.channels, load.spec.max_pixels, load.workers);
        },
        [](Napi::Env env, Examined& examined) { return examined_to_js(env, examined); });
  });
}

}  // namespace flexae::addon
