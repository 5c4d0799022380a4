/// \file
/// Single parts of the core, driven from outside: `flexae_probe OPERATION IN OUT`.
///
/// IN and OUT are safetensors files; the options of the operation are the strings in IN's metadata.
/// The interop tests compare what comes out with Keras (test/interop).

#include <ATen/ATen.h>

#include <cstdint>
#include <exception>
#include <functional>
#include <iostream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/base/json.h"
#include "core/export/torchscript.h"
#include "core/files/safetensors.h"
#include "core/layers/activation.h"
#include "core/layers/constraint.h"
#include "core/layers/initializer.h"
#include "core/layers/regularizer.h"
#include "core/loss/bce.h"
#include "core/loss/metrics.h"
#include "core/model/autoencoder.h"
#include "core/optim/optimizer.h"
#include "core/spec/model_config.h"
#include "core/spec/model_config_json.h"
#include "core/tensor/scale_images.h"
#include "core/train/step_recipe.h"
#include "test/core/gradients.h"

namespace {

using flexae::Json;
using Tensors = std::map<std::string, at::Tensor>;

struct Input {
  std::map<std::string, std::string> options;
  Tensors tensors;

  [[nodiscard]] bool has(const std::string& name) const { return options.contains(name); }
  [[nodiscard]] const std::string& text(const std::string& name) const {
    const auto found = options.find(name);
    if (found == options.end()) throw std::runtime_error("the option " + name + " is missing");
    return found->second;
  }
  [[nodiscard]] double number(const std::string& name) const { return std::stod(text(name)); }
  [[nodiscard]] double number(const std::string& name, double otherwise) const {
    return has(name) ? number(name) : otherwise;
  }
  [[nodiscard]] int64_t count(const std::string& name) const { return std::stoll(text(name)); }
  [[nodiscard]] const at::Tensor& tensor(const std::string& name) const {
    const auto found = tensors.find(name);
    if (found == tensors.end()) throw std::runtime_error("the tensor " + name + " is missing");
    return found->second;
  }
};

Input read(const std::string& path) {
  flexae::TensorFile file = flexae::read_tensor_file(path, /*require_checksum=*/false);
  return {std::move(file.metadata), Tensors(file.tensors.begin(), file.tensors.end())};
}

void write(const std::string& path, const Tensors& tensors) {
  flexae::write_tensor_file(path, {{tensors.begin(), tensors.end()}, {}});
}

at::Tensor scalar(double value) {
  return at::full({1}, value, at::kDouble);
}

// --- options ------------------------------------------------------------------------------

flexae::ModelConfig model_config(const Input& input) {
  return flexae::model_config_from_json(Json::parse(input.text("config")));
}

flexae::WeightLayout layout(const std::string& name) {
  static const std::map<std::string, flexae::WeightLayout> names{
      {"dense", flexae::WeightLayout::kDense},
      {"conv", flexae::WeightLayout::kConv},
      {"conv_transpose", flexae::WeightLayout::kConvTranspose},
      {"bias", flexae::WeightLayout::kBias}};
  return names.at(name);
}

// --- operations ---------------------------------------------------------------------------

/// `indexed("p", 3)` is p3.
std::string indexed(std::string name, size_t index) {
  return name.append(std::to_string(index));
}

/// p0, p1, …: parameters; g{step}_{i}: gradients. Gives p{step}_{i}, the parameters after each
/// step.
Tensors optimizer(const Input& input) {
  std::vector<at::Tensor> parameters;
  while (input.tensors.contains(indexed("p", parameters.size()))) {
    parameters.push_back(input.tensor(indexed("p", parameters.size())).clone());
  }
  flexae::Optimizer optimizer(flexae::optimizer_from_name(input.text("name")),
                              input.number("learning_rate"), parameters);
  const auto steps = static_cast<size_t>(input.count("steps"));
  Tensors out;
  for (size_t step = 0; step < steps; ++step) {
    std::vector<at::Tensor> gradients;
    for (size_t i = 0; i < parameters.size(); ++i) {
      gradients.push_back(input.tensor(indexed(indexed("g", step) + "_", i)));
    }
    flexae::test::step(optimizer, flexae::test::gradients(gradients));
    for (size_t i = 0; i < parameters.size(); ++i) {
      out[indexed(indexed("p", step) + "_", i)] = parameters[i].clone();
    }
  }
  return out;
}

Tensors initializer(const Input& input) {
  std::vector<int64_t> shape;
  std::istringstream sizes(input.text("shape"));
  for (std::string size; std::getline(sizes, size, ',');) shape.push_back(std::stoll(size));
  return {{"w", flexae::initialize(flexae::initializer_from_name(input.text("name")),
                                   layout(input.text("layout")), shape,
                                   static_cast<uint64_t>(input.count("seed")))}};
}

Tensors constraint(const Input& input) {
  flexae::Constraint constraint;
  constraint.kind = flexae::constraint_from_name(input.text("name"));
  constraint.min_value = input.number("min_value", constraint.min_value);
  constraint.max_value = input.number("max_value", constraint.max_value);
  constraint.rate = input.number("rate", constraint.rate);
  at::Tensor w = input.tensor("w").clone();
  flexae::constrain(w, layout(input.text("layout")), constraint);
  return {{"w", w}};
}

Tensors regularizer(const Input& input) {
  const flexae::Regularizer regularizer{input.number("l1"), input.number("l2")};
  const at::Tensor& w = input.tensor("w");
  return {{"penalty", flexae::penalty(w, regularizer).to(at::kDouble).reshape({1})},
          {"grad", flexae::penalty_grad(w, regularizer)}};
}

Tensors activation(const Input& input) {
  const flexae::Activation kind = flexae::activation_from_name(input.text("name"));
  const at::Tensor& x = input.tensor("x");
  const at::Tensor y = flexae::activate(x, kind);
  // Where the derivative must do without x, a use of it fails here.
  const at::Tensor kept = flexae::needs_input(kind) ? x : at::Tensor();
  return {{"y", y}, {"grad", flexae::activate_backward(at::ones_like(y), kept, y, kind)}};
}

Tensors loss(const Input& input) {
  flexae::Metrics metrics(at::kCPU);
  at::Tensor grad;
  const at::Tensor& logits = input.tensor("logits");
  metrics.accumulate(flexae::kBinaryCrossEntropy.sums(logits, input.tensor("target"), &grad),
                     logits.size(0), {});
  metrics.count(logits.size(0), logits.numel());
  const auto values = metrics.values();
  return {{"bce", scalar(values.loss)},
          {"accuracy", scalar(values.accuracy)},
          {"mse", scalar(values.mse)},
          {"psnr", scalar(values.psnr)},
          {"grad", grad}};
}

flexae::Autoencoder make_model(const Input& input) {
  const uint64_t seed = input.has("seed") ? static_cast<uint64_t>(input.count("seed")) : 1;
  flexae::Autoencoder model(model_config(input), seed, at::kCPU);
  std::vector<std::pair<std::string, at::Tensor>> weights;
  for (const auto& [name, tensor] : input.tensors) {
    if (name != "images") weights.emplace_back(name, tensor);
  }
  if (!weights.empty()) model.load_state(weights);
  return model;
}

/// images: N×H×W×C bytes, taken in order, batch_size a step, without flips. Gives loss{step} and
/// the model's state after the last step.
Tensors train_step(const Input& input) {
  flexae::Autoencoder model = make_model(input);
  flexae::Optimizer optimizer(flexae::optimizer_from_name(input.text("optimizer")),
                              input.number("learning_rate"), model.parameters());
  const int64_t batch = input.count("batch_size");
  Tensors out;
  for (int64_t step = 0; step < input.count("steps"); ++step) {
    const flexae::Activations images(
        input.tensor("images").slice(0, step * batch, (step + 1) * batch).contiguous());
    flexae::Metrics metrics(at::kCPU);
    flexae::StepRecipe recipe(model, optimizer, metrics);
    model.sample(images.stored().size(0), /*seed=*/1, static_cast<uint64_t>(step));
    recipe.train({images, images}, {flexae::Optimizer::as_tensor(optimizer.begin_step()),
                                    at::scalar_tensor(step + 1, at::kDouble)});
    metrics.count(images.stored().size(0), images.stored().numel());
    out[indexed("loss", static_cast<size_t>(step))] = scalar(metrics.values().loss);
  }
  for (const auto& [name, tensor] : model.state()) out[name] = tensor;
  return out;
}

/// images: N×H×W×C bytes. Gives embedding (N×D) and output (N×C×H×W), in evaluation mode.
Tensors forward(const Input& input) {
  flexae::Autoencoder model = make_model(input);
  const at::Tensor embedding = model.encode(flexae::to_images(input.tensor("images")));
  return {{"embedding", embedding}, {"output", model.decode(embedding).sigmoid()}};
}

/// The model's weights as ae.pt and en.pt, in the files that the options `ae` and `en` name.
Tensors export_models(const Input& input) {
  const flexae::Autoencoder model = make_model(input);
  flexae::export_autoencoder(model, input.text("ae"), input.text("config"));
  flexae::export_encoder(model, input.text("en"), input.text("config"));
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  const std::map<std::string, std::function<Tensors(const Input&)>> operations{
      {"optimizer", optimizer},     {"initializer", initializer}, {"constraint", constraint},
      {"regularizer", regularizer}, {"activation", activation},   {"loss", loss},
      {"train_step", train_step},   {"forward", forward},         {"export", export_models}};
  if (argc != 4 || !operations.contains(argv[1])) {
    std::cerr << "usage: flexae_probe OPERATION IN.safetensors OUT.safetensors\noperations:";
    for (const auto& [name, function] : operations) std::cerr << ' ' << name;
    std::cerr << '\n';
    return 2;
  }
  try {
    write(argv[3], operations.at(argv[1])(read(argv[2])));
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "flexae_probe: " << error.what() << '\n';
    return 1;
  }
}
