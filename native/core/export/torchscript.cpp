#include "core/export/torchscript.h"

#include <ATen/ATen.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/export.h>

#include <map>
#include <sstream>

#include "core/files/atomic_file.h"
#include "core/layers/activation.h"
#include "core/layers/layer_list.h"
#include "core/model/model_file.h"

namespace flexae {
namespace {

namespace jit = torch::jit;

class Modules {
 public:
  explicit Modules(const Autoencoder& model)
      : config_(model.config()), unit_(std::make_shared<jit::CompilationUnit>()) {
    for (const auto& [name, tensor] : model.state()) tensors_.emplace(name, tensor);
    layers_ = make_layers(config_);
  }

  jit::Module encoder() {
    jit::Module root = make_module("Encoder");
    root.register_module("encoder", part(Part::kEncoder));
    describe(root);
    root.define("def forward(self, x: Tensor) -> Tensor:\n    return self.encoder.forward(x)\n");
    return root;
  }

  jit::Module autoencoder() {
    jit::Module root = make_module("Autoencoder");
    root.register_module("encoder", part(Part::kEncoder));
    root.register_module("decoder", part(Part::kDecoder));
    describe(root);
    root.define(R"(
def encode(self, x: Tensor) -> Tensor:
    return self.encoder.forward(x)
def logits(self, x: Tensor) -> Tensor:
    return self.decoder.forward(self.encoder.forward(x))
def forward(self, x: Tensor) -> Tensor:
    x = self.logits(x)
    return )" + activation_source(layers_.back().activation) +
                "\n");
    return root;
  }

  /// Of the module made last, in the order of its pickle.
  [[nodiscard]] const NamedTensors& weights() const { return weights_; }

 private:
  jit::Module make_module(const std::string& name) {
    // Class names are unique in a compilation unit.
    jit::Module module(c10::QualifiedName("__torch__.flexible_autoencoder." + name), unit_);
    // Without it, train() and eval() have nothing to set and silently do nothing.
    module.register_attribute("training", c10::BoolType::get(), false);
    return module;
  }

  void describe(jit::Module& root) const {
    const Shape input{config_.channels, config_.height, config_.width};
    std::vector<int64_t> embedding;
    for (const LayerSpec& layer : layers_) {
      if (layer.part == Part::kEncoder) embedding = layer.out.sizes();
    }
    root.register_attribute("input_shape", c10::ListType::ofInts(),
                            c10::List<int64_t>(input.sizes()));
    root.register_attribute("embedding_shape", c10::ListType::ofInts(),
                            c10::List<int64_t>(embedding));
  }

  jit::Module part(Part part) {
    const bool encoder = part == Part::kEncoder;
    jit::Module module = make_module(encoder ? "EncoderLayers" : "DecoderLayers");
    std::string code = "def forward(self, x: Tensor) -> Tensor:\n";
    if (encoder) {
      code +=
          "    if not torch.is_floating_point(x):\n"
          "        x = torch.div(torch.to(x, self.conv_0.weight.dtype), 255)\n";
    }
    for (const LayerSpec& layer : layers_) {
      if (layer.part != part) continue;
      if (layer.parameters() > 0) module.register_module(layer.name, leaf(layer));
      // The last activation is the root's, so that logits() has what it names.
      LayerSpec plain = layer;
      if (&layer == &layers_.back()) plain.activation = Activation::kLinear;
      code += plain.kind->torchscript(plain);
    }
    module.define(code + "    return x\n");
    return module;
  }

  jit::Module leaf(const LayerSpec& layer) {
    std::string type = layer.full_name();
    std::replace(type.begin(), type.end(), '.', '_');
    jit::Module module = make_module(type);
    for (const WeightSpec& weight : layer.kind->weights(layer)) {
      const std::string full_name = layer.full_name() + "." + weight.name;
      const at::Tensor tensor = tensors_.at(full_name).detach().cpu().contiguous().clone();
      module.register_parameter(weight.name, tensor, /*is_buffer=*/!weight.trained);
      weights_.emplace_back(full_name, tensor);
    }
    for (const auto& [name, value] : layer.kind->constants(config_)) {
      module.register_attribute(name, c10::FloatType::get(), value);
    }
    return module;
  }

  const ModelConfig& config_;
  std::shared_ptr<jit::CompilationUnit> unit_;
  std::map<std::string, at::Tensor> tensors_;
  NamedTensors weights_;
  std::vector<LayerSpec> layers_;
};

void save(Modules& modules, bool autoencoder, const std::string& path,
          const std::string& config_json) {
  const jit::Module module = autoencoder ? modules.autoencoder() : modules.encoder();
  // Module::save(path) aborts the process on a full disk; a stream in memory cannot.
  std::ostringstream stream;
  module.save(stream, {{kConfigEntry, config_json},
                       {kWeightsEntry, describe_weights(modules.weights(), autoencoder)}});
  std::string data = std::move(stream).str();
  seal_model_file(data, modules.weights());
  write_file_atomic(path, {std::as_bytes(std::span(data))});
}

}  // namespace

void export_autoencoder(const Autoencoder& model, const std::string& path,
                        const std::string& config_json) {
  Modules modules(model);
  save(modules, /*autoencoder=*/true, path, config_json);
}

void export_encoder(const Autoencoder& model, const std::string& path,
                    const std::string& config_json) {
  Modules modules(model);
  save(modules, /*autoencoder=*/false, path, config_json);
}

}  // namespace flexae
