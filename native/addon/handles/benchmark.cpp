#include "addon/handles/benchmark.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "addon/async/hosted.h"
#include "addon/async/task.h"
#include "addon/async/threaded.h"
#include "addon/convert/arguments.h"
#include "addon/convert/values.h"
#include "core/base/error.h"
#include "core/cpu/kernels/kernels.h"
#include "core/train/benchmark.h"

namespace flexae::addon {
namespace {

using Bench = Threaded<Benchmark>;

struct Timed {
  std::vector<double> milliseconds;
  double loss = 0;
};

int64_t to_count(const Napi::Value& value, const char* name) {
  const double count = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : 0;
  if (count < 1 || count > 1e9 || count != static_cast<double>(static_cast<int64_t>(count))) {
    throw Error(ErrorCode::kConfig, std::string("Expected a positive integer for ") + name);
  }
  return static_cast<int64_t>(count);
}

Napi::Array to_numbers(Napi::Env env, const std::vector<double>& values) {
  Napi::Array array = Napi::Array::New(env, values.size());
  for (uint32_t i = 0; i < values.size(); ++i) array.Set(i, values[i]);
  return array;
}

Napi::Value make_handle(Napi::Env env, const std::shared_ptr<Bench>& shared) {
  struct Facts {
    std::string device;
    const char* precision;
    int threads;
  };
  const auto facts = shared->with<Facts>([](Benchmark& b) -> Facts {
    return {b.device().str(), precision_name(b.precision()), b.threads()};
  });
  const auto bench = Hosted<Benchmark>::make(env, shared);
  Napi::Object handle = Napi::Object::New(env);
  handle.Set("device", facts.device);
  handle.Set("precision", facts.precision);
  handle.Set("threads", facts.threads);
  handle.Set("kernels", kernels().name);
  handle.Set("train", Napi::Function::New(env, [bench](const Napi::CallbackInfo& info) {
               return guarded(info.Env(), [&]() -> Napi::Value {
                 const int64_t steps = to_count(info[0], "steps");
                 return bench->call<Timed>(
                     [=](Benchmark& b) -> Timed {
                       std::vector<double> milliseconds = b.train(steps);
                       return {std::move(milliseconds), b.loss()};
                     },
                     [](Napi::Env env, Timed& timed) -> Napi::Value {
                       Napi::Object object = Napi::Object::New(env);
                       object.Set("milliseconds", to_numbers(env, timed.milliseconds));
                       object.Set("loss", timed.loss);
                       return object;
                     });
               });
             }));
  handle.Set("encode", Napi::Function::New(env, [bench](const Napi::CallbackInfo& info) {
               return guarded(info.Env(), [&]() -> Napi::Value {
                 const int64_t batches = to_count(info[0], "batches");
                 return bench->call<std::vector<double>>(
                     [=](Benchmark& b) { return b.encode(batches); },
                     [](Napi::Env env, std::vector<double>& milliseconds) -> Napi::Value {
                       return to_numbers(env, milliseconds);
                     });
               });
             }));
  handle.Set("images", Napi::Function::New(env, [bench](const Napi::CallbackInfo& info) {
               return guarded(info.Env(), [&]() -> Napi::Value {
                 return bench->call<at::Tensor>(
                     [](Benchmark& b) {
                       return b.images().cpu().permute({0, 3, 1, 2}).contiguous();
                     },
                     [](Napi::Env env, at::Tensor& images) { return to_typed_array(env, images); });
               });
             }));
  handle.Set("dispose", Napi::Function::New(env, [bench](const Napi::CallbackInfo& /*info*/) {
               bench->dispose();
             }));
  return handle;
}

}  // namespace

Napi::Value benchmark(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const Napi::Object options = to_object(info[0], "options");
    const TrainerConfig config = to_benchmark(options);
    at::Tensor images;
    if (!options.Get("images").IsUndefined()) {
      const ModelConfig& model = config.model;
      images = to_batch(options.Get("images"), {model.channels, model.height, model.width})
                   .permute({0, 2, 3, 1});
    }
    return Task<std::shared_ptr<Bench>>::run(
        env,
        [config, images] {
          return std::make_shared<Bench>(
              "The benchmark", [&] { return std::make_unique<Benchmark>(config, images); });
        },
        [](Napi::Env env, std::shared_ptr<Bench>& bench) { return make_handle(env, bench); });
  });
}

}  // namespace flexae::addon
