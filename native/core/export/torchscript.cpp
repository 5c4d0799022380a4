#include "core/export/torchscript.h"

#include <ATen/ATen.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/export.h>

#include <map>
#include <sstream>

#include "core/base/error.h"
#include "core/files/atomic_file.h"
#include "core/layers/activation.h"
#include "core/model/model_file.h"

namespace flexae {
namespace {

namespace jit = torch::jit;

std::string list(const std::vector<int64_t>& values) {
  std::string text = "[";
  for (const int64_t value : values) text += (text.size() > 1 ? ", " : "") + std::to_string(value);
  return text + "]";
}

/// The statements of one layer on the variable `x`. Only names that serialization knows: torch.*.
std::string statements(const LayerSpec& layer) {
  const std::string self = "self." + layer.name;
  const auto assign = [](const std::string& value) { return "    x = " + value + "\n"; };
  const std::string stride = list({layer.stride, layer.stride});
  const auto crop = [&](int64_t h, int64_t w) {
    std::string text;
    if (h != layer.out.h)
      text += assign("torch.slice(x, 2, 0, " + std::to_string(layer.out.h) + ")");
    if (w != layer.out.w)
      text += assign("torch.slice(x, 3, 0, " + std::to_string(layer.out.w) + ")");
    return text;
  };
  std::string code;
  switch (layer.kind) {
    case LayerKind::kConv: {
      const auto v = same_padding(layer.in.h, layer.kernel, layer.stride);
      const auto h = same_padding(layer.in.w, layer.kernel, layer.stride);
      std::vector<int64_t> padding{v[0], h[0]};
      if (v[0] != v[1] || h[0] != h[1]) {
        code += assign("torch.constant_pad_nd(x, " + list({h[0], h[1], v[0], v[1]}) + ")");
        padding = {0, 0};
      }
      return code + assign("torch.conv2d(x, " + self + ".weight, " + self + ".bias, " + stride +
                           ", " + list(padding) + ")");
    }
    case LayerKind::kConvTranspose: {
      const int64_t p = same_transpose_crop(layer.kernel, layer.stride);
      const int64_t extra = std::max<int64_t>(layer.stride - layer.kernel, 0);
      const auto full = [&](int64_t size) {
        return (size - 1) * layer.stride + layer.kernel - 2 * p + extra;
      };
      code = assign("torch.conv_transpose2d(x, " + self + ".weight, " + self + ".bias, " + stride +
                    ", " + list({p, p}) + ", " + list({extra, extra}) + ")");
      return code + crop(full(layer.in.h), full(layer.in.w));
    }
    case LayerKind::kBatchNorm: {
      code =
          assign("torch.batch_norm(x, " + self + ".weight, " + self + ".bias, " + self +
                 ".running_mean, " + self + ".running_var, False, 0.0, " + self + ".eps, False)");
      return code + assign(activation_source(layer.activation));
    }
    case LayerKind::kDense:
      return assign("torch.linear(x, " + self + ".weight" +
                    (layer.use_bias ? ", " + self + ".bias" : "") + ")") +
             assign(activation_source(layer.activation));
    case LayerKind::kPool:
      return assign(layer.pooling == Pooling::kAvg
                        ? "torch.avg_pool2d(x, [2, 2], [2, 2], [0, 0], True, False)"
                        : "torch.max_pool2d(x, [2, 2], [2, 2], [0, 0], [1, 1], True)");
    case LayerKind::kUpsample:
      return assign("torch.upsample_nearest2d(x, " + list({layer.in.h * 2, layer.in.w * 2}) + ")") +
             crop(layer.in.h * 2, layer.in.w * 2);
    case LayerKind::kDropout:
      return "";
    case LayerKind::kFlatten:
      return assign("torch.flatten(torch.permute(x, [0, 2, 3, 1]), 1)");
    case LayerKind::kReshape:
      return assign("torch.permute(torch.reshape(x, " +
                    list({-1, layer.out.h, layer.out.w, layer.out.c}) + "), [0, 3, 1, 2])");
  }
  throw Error(ErrorCode::kInternal, "unhandled layer kind");
}

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
    return torch.sigmoid(self.logits(x))
)");
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
      // The last sigmoid is the root's, so that logits() has what it names.
      LayerSpec plain = layer;
      if (&layer == &layers_.back()) plain.activation = Activation::kLinear;
      code += statements(plain);
    }
    module.define(code + "    return x\n");
    return module;
  }

  jit::Module leaf(const LayerSpec& layer) {
    std::string type = layer.full_name();
    std::replace(type.begin(), type.end(), '.', '_');
    jit::Module module = make_module(type);
    const bool norm = layer.kind == LayerKind::kBatchNorm;
    const auto add = [&](const char* name, bool is_buffer) {
      const std::string full_name = layer.full_name() + "." + name;
      const at::Tensor tensor = tensors_.at(full_name).detach().cpu().contiguous().clone();
      module.register_parameter(name, tensor, is_buffer);
      weights_.emplace_back(full_name, tensor);
    };
    add("weight", /*is_buffer=*/false);
    if (layer.use_bias) add("bias", /*is_buffer=*/false);
    if (norm) {
      add("running_mean", /*is_buffer=*/true);
      add("running_var", /*is_buffer=*/true);
      module.register_attribute("eps", c10::FloatType::get(), config_.batch_norm_epsilon);
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
