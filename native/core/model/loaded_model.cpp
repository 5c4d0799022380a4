#include "core/model/loaded_model.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include <optional>
#include <sstream>
#include <utility>

#include "core/base/allocator.h"
#include "core/base/error.h"
#include "core/cpu/kernels/kernels.h"
#include "core/files/atomic_file.h"
#include "core/files/bytes.h"
#include "core/layers/activation.h"
#include "core/layers/layer_list.h"
#include "core/model/model_file.h"

namespace flexae {

namespace jit = torch::jit;

struct LoadedModel::Impl {
  std::optional<Autoencoder> native;
  jit::Module module;  ///< What runs where native is empty.
  std::string config_json;
  std::vector<int64_t> input_shape;
  std::vector<int64_t> embedding_shape;
  at::Device device = at::kCPU;
  Precision precision = Precision::kFp32;
  bool autoencoder = false;
  bool brief = false;

  at::Tensor call(const char* method, const at::Tensor& images) {
    return module.get_method(method)({images}).toTensor();
  }

  void take(ModelFile file, const std::string& path) {
    const c10::NoGradGuard no_grad;
    config_json = std::move(file.config_json);
    autoencoder = file.autoencoder;
    try {
      native.emplace(
          Autoencoder::of(file.config, std::move(file.weights), device, precision, autoencoder));
      native->freeze();
    } catch (const Error& error) {
      throw Error(ErrorCode::kModel, path + " cannot be used: " + error.what());
    }
    input_shape = {file.config.channels, file.config.height, file.config.width};
    for (const LayerSpec& layer : make_layers(file.config)) {
      if (layer.part == Part::kEncoder) embedding_shape = layer.out.sizes();
    }
  }

  /// Executes what the file says.
  void run_script(const std::string& data, const std::string& path) {
    const auto refuse = [&](const std::string& why) {
      throw Error(ErrorCode::kModel, path + " cannot be used: " + why +
                                         ".\nGive an ae.pt or en.pt that a run has written.");
    };
    std::istringstream stream(data);
    jit::ExtraFilesMap extra{{kConfigEntry, ""}};
    try {
      module = jit::load(stream, device, extra);
    } catch (const std::exception&) {
      refuse("it is damaged or no TorchScript");
    }
    config_json = extra[kConfigEntry];
    if (!module.hasattr("input_shape") || !module.hasattr("embedding_shape")) {
      refuse("its attributes input_shape and embedding_shape are missing");
    }
    try {
      input_shape = module.attr("input_shape").toIntVector();
      embedding_shape = module.attr("embedding_shape").toIntVector();
    } catch (const std::exception&) {
      refuse("its attributes input_shape and embedding_shape are no lists of integers");
    }
    autoencoder = module.find_method("logits").has_value();
    if (input_shape.size() != 3) refuse("its input_shape is not an image's");
    for (const int64_t size : input_shape) {
      if (size < 1 || size > (int64_t{1} << 20)) refuse("its input_shape is not an image's");
    }
  }
};

namespace {

at::Tensor as_float(const at::Tensor& images) {
  return images.is_floating_point() ? images.to(at::kFloat) : images.to(at::kFloat).div_(255);
}

}  // namespace

LoadedModel::LoadedModel(const std::string& path, at::Device device, bool trust, bool native,
                         Precision precision, bool brief)
    : impl_(std::make_unique<Impl>()) {
  impl_->device = device;
  impl_->precision = precision;
  (void)kernels();
  impl_->brief = brief;
  if (brief) {
    return_large_memory();
  } else if (device.is_cpu()) {
    keep_freed_memory();
  }
  const FileBytes file(path);
  if (is_sealed(file, path) && (native || !trust)) {
    try {
      impl_->take(parse_model_file(file, path), path);
      return;
    } catch (const Error&) {
      if (!trust) throw;
      impl_->native.reset();
    }
  }
  if (!trust) {
    throw Error(ErrorCode::kModel,
                path + " is damaged, or was not written by this program: nothing in it was run.\n" +
                    "If you know where it comes from, --trust runs its TorchScript, which can do " +
                    "anything on this machine.");
  }
  impl_->run_script(read_file(path), path);
}

LoadedModel::~LoadedModel() {
  const bool brief = impl_ != nullptr && impl_->brief;
  impl_.reset();
  if (brief) return_freed_memory();
}
LoadedModel::LoadedModel(LoadedModel&&) noexcept = default;
LoadedModel& LoadedModel::operator=(LoadedModel&&) noexcept = default;

bool LoadedModel::is_autoencoder() const {
  return impl_->autoencoder;
}
const std::string& LoadedModel::config_json() const {
  return impl_->config_json;
}
const std::vector<int64_t>& LoadedModel::input_shape() const {
  return impl_->input_shape;
}
const std::vector<int64_t>& LoadedModel::embedding_shape() const {
  return impl_->embedding_shape;
}
at::Device LoadedModel::device() const {
  return impl_->device;
}
const Loss& LoadedModel::loss() const {
  return loss_of(impl_->native ? impl_->native->config() : ModelConfig());
}
bool LoadedModel::is_native() const {
  return impl_->native.has_value();
}

at::Tensor LoadedModel::encode(const at::Tensor& images) {
  if (impl_->native) return impl_->native->encode(as_float(images));
  return impl_->call(impl_->autoencoder ? "encode" : "forward", images);
}

std::pair<at::Tensor, at::Tensor> LoadedModel::encode_and_score(const at::Tensor& images) {
  const at::Tensor target = as_float(images);
  at::Tensor embedding = encode(images);
  const at::Tensor logits =
      impl_->native ? impl_->native->decode(embedding) : impl_->call("logits", images);
  return {std::move(embedding), loss().of_images(logits.to(at::kFloat), target)};
}

at::Tensor LoadedModel::reconstruct(const at::Tensor& images) {
  if (impl_->native) return activate(logits(images), loss().output);
  return impl_->call("forward", images);
}

at::Tensor LoadedModel::logits(const at::Tensor& images) {
  if (impl_->native) return impl_->native->decode(impl_->native->encode(as_float(images)));
  return impl_->call("logits", images);
}

}  // namespace flexae
