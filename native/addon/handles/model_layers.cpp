#include "addon/handles/model_layers.h"

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "addon/async/task.h"
#include "addon/convert/arguments.h"
#include "addon/convert/errors.h"
#include "addon/convert/tensors.h"
#include "addon/convert/values.h"
#include "core/export/given_weights.h"
#include "core/layers/layer_list.h"
#include "core/model/model_layers.h"

namespace flexae::addon {
namespace {

template <size_t N>
Napi::Array sizes_to_js(Napi::Env env, const std::array<int64_t, N>& values) {
  return to_js(env, std::vector<int64_t>(values.begin(), values.end()));
}

/// The layer's tensors, without their values.
Napi::Array weights_to_js(Napi::Env env, const LayerSpec& layer) {
  Napi::Array list = Napi::Array::New(env);
  for (const WeightSpec& spec : layer.kind->weights(layer)) {
    Napi::Object weight = Napi::Object::New(env);
    weight.Set("name", layer.full_name() + "." + spec.name);
    weight.Set("shape", to_js(env, spec.sizes));
    weight.Set("trained", spec.trained);
    list.Set(list.Length(), weight);
  }
  return list;
}

/// Takes the values of the layer's tensors from `weights`, beginning at `next`, and lets go of
/// each.
void take_values(const Napi::Array& list, NamedTensors& weights, size_t& next) {
  for (uint32_t i = 0; i < list.Length(); ++i) {
    at::Tensor& tensor = weights[next++].second;
    list.Get(i).As<Napi::Object>().Set("values", to_typed_array(list.Env(), tensor));
    tensor.reset();
  }
}

Napi::Object layer_to_js(Napi::Env env, const LayerSpec& layer, const ModelConfig& config) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("name", layer.full_name());
  object.Set("type", layer.kind->keras_name(layer));
  object.Set("part", layer.part == Part::kEncoder ? "encoder" : "decoder");
  object.Set("inputShape", to_js(env, layer.in.sizes()));
  object.Set("outputShape", to_js(env, layer.out.sizes()));
  const LayerWindow window = layer.kind->window(layer);
  object.Set("kernel", sizes_to_js(env, window.kernel));
  object.Set("stride", sizes_to_js(env, window.stride));
  object.Set("pads", sizes_to_js(env, window.pads));
  object.Set("outputPadding", sizes_to_js(env, window.output_padding));
  object.Set("crop", sizes_to_js(env, window.crop));
  object.Set("activation", name_of(layer.activation));
  object.Set("dropRate", layer.drop_rate);
  Napi::Object constants = Napi::Object::New(env);
  for (const auto& [name, value] : layer.kind->constants(config)) constants.Set(name, value);
  object.Set("constants", constants);
  object.Set("weights", weights_to_js(env, layer));
  return object;
}

Napi::Value model_to_js(Napi::Env env, ModelLayers& model) {
  const ModelConfig& config = model.file.config;
  Napi::Object object = Napi::Object::New(env);
  object.Set("kind", model.file.autoencoder ? "autoencoder" : "encoder");
  object.Set("configJson", model.file.config_json);
  object.Set("inputShape",
             to_js(env, std::vector<int64_t>{config.channels, config.height, config.width}));
  Napi::Array layers = Napi::Array::New(env);
  size_t next = 0;
  for (const LayerSpec& layer : model.layers) {
    Napi::Object entry = layer_to_js(env, layer, config);
    take_values(entry.Get("weights").As<Napi::Array>(), model.file.weights, next);
    layers.Set(layers.Length(), entry);
    if (layer.part == Part::kEncoder) {
      object.Set("embeddingShape", to_js(env, layer.out.sizes()));
    }
  }
  object.Set("layers", layers);
  return object;
}

}  // namespace

Napi::Value describe_layers(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const ModelConfig config = to_network(info[0]);
    Napi::Array layers = Napi::Array::New(info.Env());
    for (const LayerSpec& layer : make_layers(config)) {
      layers.Set(layers.Length(), layer_to_js(info.Env(), layer, config));
    }
    return layers;
  });
}

Napi::Value write_model(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    std::vector<std::shared_ptr<void>> kept;
    NamedTensors weights = to_named_tensors(to_object(info[2], "weights"), kept);
    return Task<bool>::run(
        info.Env(),
        [folder = to_path(info[0], "folder"), config = to_text(info[1], "configJson"),
         weights = std::move(weights)] {
          write_given_weights(folder, config, weights);
          return true;
        },
        [kept = std::move(kept)](Napi::Env env, bool&) { return env.Undefined(); });
  });
}

Napi::Value read_model_layers(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Task<ModelLayers>::run(
        info.Env(), [path = to_path(info[0], "path")] { return flexae::read_model_layers(path); },
        [](Napi::Env env, ModelLayers& model) -> Napi::Value { return model_to_js(env, model); });
  });
}

}  // namespace flexae::addon
