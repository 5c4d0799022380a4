#include "core/model/model_layers.h"

#include <ATen/ATen.h>

#include <map>
#include <utility>

#include "core/base/allocator.h"
#include "core/base/error.h"
#include "core/files/bytes.h"
#include "core/layers/layer_list.h"

namespace flexae {
namespace {

ModelFile read_model_file(const std::string& path) {
  const FileBytes file(path);
  if (!is_sealed(file, path)) {
    throw Error(ErrorCode::kModel, path + " is damaged, or was not written by this program.\n" +
                                       "Give the ae.pt of a run that has ended.");
  }
  return parse_model_file(file, path);
}

}  // namespace

ModelLayers read_model_layers(const std::string& path) {
  return_large_memory();
  ModelLayers model{read_model_file(path), {}};
  std::map<std::string, at::Tensor> given(model.file.weights.begin(), model.file.weights.end());
  NamedTensors ordered;
  for (LayerSpec& layer : make_layers(model.file.config)) {
    if (layer.part == Part::kDecoder && !model.file.autoencoder) continue;
    for (const WeightSpec& weight : layer.kind->weights(layer)) {
      const std::string name = layer.full_name() + "." + weight.name;
      const auto found = given.find(name);
      if (found == given.end() || found->second.sizes() != at::IntArrayRef(weight.sizes)) {
        throw Error(ErrorCode::kModel,
                    path + " cannot be used: its weight " + name + " is missing or misshapen");
      }
      ordered.emplace_back(name, std::move(found->second));
      given.erase(found);
    }
    model.layers.push_back(std::move(layer));
  }
  if (!given.empty()) {
    throw Error(ErrorCode::kModel,
                path + " cannot be used: no layer has its weight " + given.begin()->first);
  }
  model.file.weights = std::move(ordered);
  return model;
}

}  // namespace flexae
