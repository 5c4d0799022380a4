#include "addon/handles/model.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "addon/async/hosted.h"
#include "addon/async/task.h"
#include "addon/async/threaded.h"
#include "addon/convert/arguments.h"
#include "addon/convert/values.h"
#include "addon/handles/embedding.h"
#include "core/base/error.h"
#include "core/device/device.h"
#include "core/device/precision.h"
#include "core/loss/metrics.h"
#include "core/model/loaded_model.h"
#include "core/model/summary.h"
#include "core/tensor/scale_images.h"
#include "core/train/feed/device_feed.h"

namespace flexae::addon {
namespace {

/// Scores of the images that could be used, and how many could not.
struct Evaluated {
  Metrics::Values values;
  int64_t bad = 0;
};

using SharedModel = Threaded<LoadedModel>;

Metrics::Values score(LoadedModel& model, BatchSource& source, int64_t batch_size) {
  std::vector<int64_t> order(static_cast<size_t>(source.size()));
  std::iota(order.begin(), order.end(), 0);
  DeviceFeed feed(source, model.device());
  feed.start(std::move(order), batch_size);
  Metrics metrics(model.device());
  DeviceFeed::Item item;
  while (feed.next(item)) {
    const at::Tensor images = to_images(item.images);
    const at::Tensor sums = model.loss().sums(model.logits(images), images, nullptr);
    metrics.accumulate(sums, images.size(0), {});
    metrics.count(images.size(0), images.numel());
  }
  return metrics.values();
}

void require_autoencoder(bool autoencoder, const char* what) {
  if (autoencoder) return;
  throw Error(ErrorCode::kModel,
              std::string(what) +
                  " needs an autoencoder, but this is an encoder.\nLoad ae.pt instead of en.pt.");
}

/// A model, and what of it does not change.
struct Loaded {
  std::shared_ptr<SharedModel> model;
  bool autoencoder;
  std::string config_json;
  std::vector<int64_t> input_shape;
  std::vector<int64_t> embedding_shape;
  Precision precision;
};

Loaded load(const std::string& path, at::Device device, bool trust,
            const std::string& precision_name, bool brief) {
  const Precision precision = resolve_precision(precision_name, device);
  const auto model = std::make_shared<SharedModel>("The model", [&] {
    return std::make_unique<LoadedModel>(path, device, trust, /*native=*/true, precision, brief);
  });
  return model->with<Loaded>([&](LoadedModel& m) -> Loaded {
    if (!m.is_native() && precision_name == "bf16") {
      throw Error(ErrorCode::kConfig, path +
                                          " was not written by this program, and computes as it "
                                          "was exported: leave precision out");
    }
    return {model,           m.is_autoencoder(),  m.config_json(),
            m.input_shape(), m.embedding_shape(), m.is_native() ? precision : Precision::kFp32};
  });
}

Napi::Object make_handle(Napi::Env env, const Loaded& loaded, at::Device device) {
  Napi::Object handle = Napi::Object::New(env);
  const std::shared_ptr<Hosted<LoadedModel>> model = Hosted<LoadedModel>::make(env, loaded.model);
  const bool autoencoder = loaded.autoencoder;
  const std::vector<int64_t> shape = loaded.input_shape;
  handle.Set("kind", autoencoder ? "autoencoder" : "encoder");
  handle.Set("configJson", loaded.config_json);
  handle.Set("inputShape", to_js(env, shape));
  handle.Set("embeddingShape", to_js(env, loaded.embedding_shape));
  handle.Set("device", device.str());
  handle.Set("precision", precision_name(loaded.precision));

  using Method = at::Tensor (LoadedModel::*)(const at::Tensor&);
  const auto add = [&](const std::string& name, Method method, bool decodes) {
    const auto compute = [=](LoadedModel& m, const at::Tensor& batch) {
      const c10::NoGradGuard no_grad;
      return (m.*method)(batch.to(device)).to(at::kFloat).cpu().contiguous();
    };
    const auto batch_of = [=](const Napi::CallbackInfo& info) {
      if (decodes) require_autoencoder(autoencoder, name.c_str());
      return view_batch(info[0], shape);
    };
    handle.Set(name, Napi::Function::New(env, [=](const Napi::CallbackInfo& info) -> Napi::Value {
                 return guarded(info.Env(), [&]() -> Napi::Value {
                   return model->call<at::Tensor>(
                       [=, batch = batch_of(info)](LoadedModel& m) { return compute(m, batch); },
                       [](Napi::Env env, at::Tensor& out) { return to_typed_array(env, out); },
                       keep(info[0]));
                 });
               }));
    handle.Set(
        name + "Sync", Napi::Function::New(env, [=](const Napi::CallbackInfo& info) -> Napi::Value {
          return guarded(info.Env(), [&]() -> Napi::Value {
            const at::Tensor batch = batch_of(info);
            return to_typed_array(info.Env(), model->call_here<at::Tensor>(
                                                  [&](auto& m) { return compute(m, batch); }));
          });
        }));
  };
  add("encode", &LoadedModel::encode, false);
  add("reconstruct", &LoadedModel::reconstruct, true);

  handle.Set(
      "evaluate", Napi::Function::New(env, [=](const Napi::CallbackInfo& info) -> Napi::Value {
        return guarded(info.Env(), [&]() -> Napi::Value {
          require_autoencoder(autoencoder, "evaluate");
          const Load load = to_load(to_object(info[1], "load"), shape[0], shape[1], shape[2]);
          const auto source = std::make_shared<Source>(
              to_source(to_object(info[0], "source"), load.spec, "the set"));
          const Napi::Value size = info[2];
          if (!size.IsNumber() || size.As<Napi::Number>().Int64Value() < 1) {
            throw Error(ErrorCode::kConfig, "Expected a positive integer for batchSize");
          }
          const int64_t batch_size = size.As<Napi::Number>().Int64Value();
          return model->call<Evaluated>(
              [=](LoadedModel& m) {
                const c10::NoGradGuard no_grad;
                int64_t bad = 0;
                SourceRequest request{std::move(*source),
                                      [&bad](const std::string&, const std::string&) { ++bad; }};
                std::vector<SourceRequest> requests;
                requests.push_back(std::move(request));
                const OpenSources open =
                    open_sources(std::move(requests), load, device.is_cuda(), /*once=*/true);
                const int64_t images = open.sources.front()->size();
                const Metrics::Values values = score(m, *open.sources.front(), batch_size);
                if (bad == images) {
                  throw Error(ErrorCode::kData, "None of the " + std::to_string(images) +
                                                    " images can be used. flexae check tells why.");
                }
                return Evaluated{values, bad};
              },
              [](Napi::Env env, Evaluated& evaluated) -> Napi::Value {
                Napi::Object object = to_js(env, evaluated.values);
                object.Set("bad", static_cast<double>(evaluated.bad));
                return object;
              });
        });
      }));
  handle.Set("embed", Napi::Function::New(env, [=](const Napi::CallbackInfo& info) -> Napi::Value {
               return guarded(info.Env(), [&]() -> Napi::Value {
                 const Napi::Object options = to_object(info[2], "options");
                 EmbeddingRequest request;
                 request.files = to_path_list(info[0], "files");
                 request.load = to_load(to_object(info[1], "load"), shape[0], shape[1], shape[2]);
                 request.batch_size = get_integer(options, "batchSize");
                 request.with_loss = get_boolean(options, "loss");
                 request.device = device;
                 if (request.batch_size < 1) {
                   throw Error(ErrorCode::kConfig, "Expected a positive integer for batchSize");
                 }
                 if (request.with_loss) require_autoencoder(autoencoder, "loss");
                 return make_embedding(info.Env(), model, std::move(request));
               });
             }));
  handle.Set("dispose", Napi::Function::New(env, [model](const Napi::CallbackInfo& /*info*/) {
               model->dispose();
             }));
  return handle;
}

/// The device that a training would take, whether or not a CUDA device that is named can be used.
at::Device planned_device(const std::string& name) {
  if (name.starts_with("cuda")) return {at::kCUDA, 0};
  return resolve_device(name);
}

}  // namespace

Napi::Value summarize(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    if (!info[1].IsNumber()) throw Error(ErrorCode::kConfig, "Expected a number for batchSize");
    const Summary summary =
        flexae::summarize(to_network(info[0]), info[1].As<Napi::Number>().Int64Value(),
                          optimizer_from_name(to_text(info[2], "optimizer")),
                          planned_device(to_text(info[3], "device")));
    Napi::Array layers = Napi::Array::New(env);
    for (const SummaryRow& row : summary.rows) {
      Napi::Object layer = Napi::Object::New(env);
      layer.Set("name", row.name);
      layer.Set("type", row.type);
      layer.Set("outputShape", to_js(env, row.output));
      layer.Set("parameters", static_cast<double>(row.parameters));
      layer.Set("macs", static_cast<double>(row.macs));
      layer.Set("fastPath", row.fast_path);
      layers.Set(layers.Length(), layer);
    }
    Napi::Object parameters = Napi::Object::New(env);
    parameters.Set("total", static_cast<double>(summary.total));
    parameters.Set("trainable", static_cast<double>(summary.total - summary.non_trainable));
    parameters.Set("nonTrainable", static_cast<double>(summary.non_trainable));
    Napi::Object encoder = Napi::Object::New(env);
    encoder.Set("parameters", static_cast<double>(summary.encoder_parameters));
    encoder.Set("outputShape", to_js(env, summary.embedding));
    Napi::Object object = Napi::Object::New(env);
    object.Set("inputShape", to_js(env, summary.input));
    object.Set("layers", layers);
    object.Set("parameters", parameters);
    object.Set("encoder", encoder);
    object.Set("macs", static_cast<double>(summary.macs));
    object.Set("trainingBytes", static_cast<double>(summary.training_bytes));
    return object;
  });
}

Napi::Value load_model(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const std::string path = to_text(info[0], "path");
    const at::Device device = resolve_device(to_text(info[1], "device"));
    const Napi::Object options = to_object(info[2], "options");
    const bool trust = get_boolean(options, "trust");
    const std::string precision = get_string(options, "precision");
    const bool brief = options.Has("brief") && get_boolean(options, "brief");
    return Task<Loaded>::run(
        env, [=] { return load(path, device, trust, precision, brief); },
        [device](Napi::Env env, Loaded& loaded) -> Napi::Value {
          return make_handle(env, loaded, device);
        });
  });
}

}  // namespace flexae::addon
