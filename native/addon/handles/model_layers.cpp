#include "addon/handles/model_layers.h"

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "addon/async/task.h"
#include "addon/convert/arguments.h"
#include "addon/convert/errors.h"
#include "addon/convert/values.h"
#include "core/model/model_layers.h"

namespace flexae::addon {
namespace {

template <size_t N>
Napi::Array to_js(Napi::Env env, const std::array<int64_t, N>& values) {
  return addon::to_js(env, std::vector<int64_t>(values.begin(), values.end()));
}

/// Takes the layer's tensors from `weights`, beginning at `next`, and lets go of each.
Napi::Array weights_to_js(Napi::Env env, const LayerSpec& layer, NamedTensors& weights,
                          size_t& next) {
  Napi::Array list = Napi::Array::New(env);
  for (const WeightSpec& spec : layer.kind->weights(layer)) {
    auto& [name, tensor] = weights[next++];
    Napi::Object weight = Napi::Object::New(env);
    weight.Set("name", name);
    weight.Set("shape", addon::to_js(env, spec.sizes));
    weight.Set("trained", spec.trained);
    weight.Set("values", to_typed_array(env, tensor));
    tensor.reset();
    list.Set(list.Length(), weight);
  }
  return list;
}

Napi::Object layer_to_js(Napi::Env env, const LayerSpec& layer, const ModelConfig& config) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("name", layer.full_name());
  object.Set("type", layer.kind->keras_name(layer));
  object.Set("part", layer.part == Part::kEncoder ? "encoder" : "decoder");
  object.Set("inputShape", addon::to_js(env, layer.in.sizes()));
  object.Set("outputShape", addon::to_js(env, layer.out.sizes()));
  const LayerWindow window = layer.kind->window(layer);
  object.Set("kernel", to_js(env, window.kernel));
  object.Set("stride", to_js(env, window.stride));
  object.Set("pads", to_js(env, window.pads));
  object.Set("outputPadding", to_js(env, window.output_padding));
  object.Set("crop", to_js(env, window.crop));
  object.Set("activation", name_of(layer.activation));
  object.Set("dropRate", layer.drop_rate);
  Napi::Object constants = Napi::Object::New(env);
  for (const auto& [name, value] : layer.kind->constants(config)) constants.Set(name, value);
  object.Set("constants", constants);
  return object;
}

Napi::Value to_js(Napi::Env env, ModelLayers& model) {
  const ModelConfig& config = model.file.config;
  Napi::Object object = Napi::Object::New(env);
  object.Set("kind", model.file.autoencoder ? "autoencoder" : "encoder");
  object.Set("configJson", model.file.config_json);
  object.Set("inputShape",
             addon::to_js(env, std::vector<int64_t>{config.channels, config.height, config.width}));
  Napi::Array layers = Napi::Array::New(env);
  size_t next = 0;
  for (const LayerSpec& layer : model.layers) {
    Napi::Object entry = layer_to_js(env, layer, config);
    entry.Set("weights", weights_to_js(env, layer, model.file.weights, next));
    layers.Set(layers.Length(), entry);
    if (layer.part == Part::kEncoder) {
      object.Set("embeddingShape", addon::to_js(env, layer.out.sizes()));
    }
  }
  object.Set("layers", layers);
  return object;
}

}  // namespace

Napi::Value read_model_layers(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Task<ModelLayers>::run(
        info.Env(), [path = to_path(info[0], "path")] { return flexae::read_model_layers(path); },
        [](Napi::Env env, ModelLayers& model) -> Napi::Value { return to_js(env, model); });
  });
}

}  // namespace flexae::addon
