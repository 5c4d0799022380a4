#include "core/torchscript.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/export.h>
#include <torch/csrc/jit/serialization/import.h>

#include <map>
#include <optional>
#include <sstream>

#include "core/activation.h"
#include "core/atomic_file.h"
#include "core/config_json.h"
#include "core/error.h"

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

class Exporter {
 public:
  explicit Exporter(const Autoencoder& model)
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
    const auto tensor = [&](const char* name) {
      return tensors_.at(layer.full_name() + "." + name).detach().cpu().contiguous().clone();
    };
    module.register_parameter("weight", tensor("weight"), /*is_buffer=*/false);
    if (layer.use_bias) module.register_parameter("bias", tensor("bias"), /*is_buffer=*/false);
    if (norm) {
      module.register_parameter("running_mean", tensor("running_mean"), /*is_buffer=*/true);
      module.register_parameter("running_var", tensor("running_var"), /*is_buffer=*/true);
      module.register_attribute("eps", c10::FloatType::get(), config_.batch_norm_epsilon);
    }
    return module;
  }

  const ModelConfig& config_;
  std::shared_ptr<jit::CompilationUnit> unit_;
  std::map<std::string, at::Tensor> tensors_;
  std::vector<LayerSpec> layers_;
};

void save(const jit::Module& module, const std::string& path, const std::string& config_json) {
  // Module::save(path) aborts the process on a full disk; a stream in memory cannot.
  std::ostringstream stream;
  module.save(stream, {{"config.json", config_json}});
  const std::string data = std::move(stream).str();
  write_file_atomic(path, {std::as_bytes(std::span(data))});
}

}  // namespace

void export_autoencoder(const Autoencoder& model, const std::string& path,
                        const std::string& config_json) {
  save(Exporter(model).autoencoder(), path, config_json);
}

void export_encoder(const Autoencoder& model, const std::string& path,
                    const std::string& config_json) {
  save(Exporter(model).encoder(), path, config_json);
}

struct ScriptModel::Impl {
  jit::Module module;
  std::string config_json;
  std::vector<int64_t> input_shape;
  std::vector<int64_t> embedding_shape;
  at::Device device = at::kCPU;
  bool autoencoder = false;

  std::optional<Autoencoder> native;

  at::Tensor call(const char* method, const at::Tensor& images) {
    return module.get_method(method)({images}).toTensor();
  }

  /// The weights by the names that Autoencoder::state() has.
  [[nodiscard]] std::vector<std::pair<std::string, at::Tensor>> weights() const {
    std::vector<std::pair<std::string, at::Tensor>> weights;
    for (const auto& item : module.named_parameters()) weights.emplace_back(item.name, item.value);
    for (const auto& item : module.named_buffers()) weights.emplace_back(item.name, item.value);
    return weights;
  }

  void make_native() {
    if (!device.is_cpu()) return;
    try {
      const ModelConfig config = model_config_from_json(Json::parse(config_json).at("model"));
      const std::vector<int64_t> shape{config.channels, config.height, config.width};
      if (shape != input_shape) return;
      const c10::NoGradGuard no_grad;
      native.emplace(autoencoder ? Autoencoder(config, 0, device)
                                 : Autoencoder::encoder_only(config, device));
      native->load_state(weights());
      // Its weights are the core's now.
      module = jit::Module();
    } catch (const Error&) {
      // A config.json that is not ours, or of another version: TorchScript needs none.
      native.reset();
    }
  }
};

namespace {

at::Tensor as_float(const at::Tensor& images) {
  return images.is_floating_point() ? images.to(at::kFloat) : images.to(at::kFloat).div_(255);
}

}  // namespace

ScriptModel::ScriptModel(const std::string& path, at::Device device, bool native)
    : impl_(std::make_unique<Impl>()) {
  const auto refuse = [&](const std::string& why) {
    throw Error(ErrorCode::kModel, path + " is not a model of this program: " + why +
                                       ".\nGive an ae.pt or en.pt that a run has written.");
  };
  std::istringstream stream(read_file(path));
  jit::ExtraFilesMap extra{{"config.json", ""}};
  try {
    impl_->module = jit::load(stream, device, extra);
  } catch (const std::exception&) {
    refuse("it is damaged or no TorchScript");
  }
  impl_->config_json = extra["config.json"];
  impl_->device = device;
  if (!impl_->module.hasattr("input_shape") || !impl_->module.hasattr("embedding_shape")) {
    refuse("its shapes are not given");
  }
  impl_->input_shape = impl_->module.attr("input_shape").toIntVector();
  impl_->embedding_shape = impl_->module.attr("embedding_shape").toIntVector();
  impl_->autoencoder = impl_->module.find_method("logits").has_value();
  if (impl_->input_shape.size() != 3) refuse("its shapes are not an image's");
  if (native) impl_->make_native();
}

ScriptModel::~ScriptModel() = default;
ScriptModel::ScriptModel(ScriptModel&&) noexcept = default;
ScriptModel& ScriptModel::operator=(ScriptModel&&) noexcept = default;

bool ScriptModel::is_autoencoder() const {
  return impl_->autoencoder;
}
const std::string& ScriptModel::config_json() const {
  return impl_->config_json;
}
const std::vector<int64_t>& ScriptModel::input_shape() const {
  return impl_->input_shape;
}
const std::vector<int64_t>& ScriptModel::embedding_shape() const {
  return impl_->embedding_shape;
}
at::Device ScriptModel::device() const {
  return impl_->device;
}

bool ScriptModel::is_native() const {
  return impl_->native.has_value();
}

at::Tensor ScriptModel::encode(const at::Tensor& images) {
  if (impl_->native) return impl_->native->encode(as_float(images));
  return impl_->call(impl_->autoencoder ? "encode" : "forward", images);
}

at::Tensor ScriptModel::reconstruct(const at::Tensor& images) {
  if (impl_->native) return at::sigmoid(logits(images));
  return impl_->call("forward", images);
}

at::Tensor ScriptModel::logits(const at::Tensor& images) {
  if (impl_->native) return impl_->native->decode(impl_->native->encode(as_float(images)));
  return impl_->call("logits", images);
}

}  // namespace flexae
