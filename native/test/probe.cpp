/// \file
/// Single parts of the core, driven from outside: `flexae_probe OPERATION IN OUT`.
///
/// IN and OUT are safetensors files; the options of the operation are the strings in IN's metadata.
/// The interop tests compare what comes out with Keras (test/interop).

#include <ATen/ATen.h>

#include <bit>
#include <cctype>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <exception>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/activation.h"
#include "core/config.h"
#include "core/initializer.h"
#include "core/loss.h"
#include "core/model.h"
#include "core/optimizer.h"
#include "core/penalty.h"

namespace {

using Tensors = std::map<std::string, at::Tensor>;

// --- JSON, as far as safetensors' header and the model's options need it -------------------------

struct Json;
using Object = std::map<std::string, Json>;
using Array = std::vector<Json>;

struct Json {
  std::variant<std::nullptr_t, bool, double, std::string, std::shared_ptr<Array>,
               std::shared_ptr<Object>>
      value;

  [[nodiscard]] bool flag() const { return std::get<bool>(value); }
  [[nodiscard]] double number() const { return std::get<double>(value); }
  [[nodiscard]] const std::string& text() const { return std::get<std::string>(value); }
  [[nodiscard]] const Array& array() const { return *std::get<std::shared_ptr<Array>>(value); }
  [[nodiscard]] const Object& object() const { return *std::get<std::shared_ptr<Object>>(value); }
  [[nodiscard]] const Json& at(const std::string& key) const {
    const auto found = object().find(key);
    if (found == object().end()) throw std::runtime_error("no \"" + key + "\" in the options");
    return found->second;
  }
};

class JsonReader {
 public:
  explicit JsonReader(const std::string& text) : text_(text) {}

  Json read() {
    Json result = value();
    if (peek() != '\0') fail();
    return result;
  }

 private:
  [[noreturn]] void fail() const {
    throw std::runtime_error("not JSON at character " + std::to_string(at_));
  }

  char peek() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }

  void expect(char c) {
    if (peek() != c) fail();
    ++at_;
  }

  bool accept(const std::string& word) {
    if (text_.compare(at_, word.size(), word) != 0) return false;
    at_ += word.size();
    return true;
  }

  Json value() {
    switch (peek()) {
      case '{':
        return {object()};
      case '[':
        return {array()};
      case '"':
        return {string()};
      case 't':
      case 'f':
      case 'n':
        if (accept("true")) return {true};
        if (accept("false")) return {false};
        if (accept("null")) return {nullptr};
        fail();
      default:
        return {number()};
    }
  }

  std::shared_ptr<Object> object() {
    auto result = std::make_shared<Object>();
    expect('{');
    while (peek() != '}') {
      std::string key = string();
      expect(':');
      result->emplace(std::move(key), value());
      if (peek() == ',') ++at_;
    }
    expect('}');
    return result;
  }

  std::shared_ptr<Array> array() {
    auto result = std::make_shared<Array>();
    expect('[');
    while (peek() != ']') {
      result->push_back(value());
      if (peek() == ',') ++at_;
    }
    expect(']');
    return result;
  }

  std::string string() {
    expect('"');
    std::string result;
    while (at_ < text_.size() && text_[at_] != '"') {
      if (text_[at_] == '\\') ++at_;  // Options hold quotes and backslashes, no other escapes.
      if (at_ < text_.size()) result += text_[at_++];
    }
    if (at_ == text_.size()) fail();
    ++at_;
    return result;
  }

  double number() {
    double result = 0;
    const char* begin = text_.data() + at_;
    const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), result);
    if (error != std::errc()) fail();
    at_ += static_cast<size_t>(end - begin);
    return result;
  }

  const std::string& text_;
  size_t at_ = 0;
};

// --- safetensors
// ----------------------------------------------------------------------------------

static_assert(std::endian::native == std::endian::little, "safetensors is little-endian");

const std::map<std::string, at::ScalarType>& dtypes() {
  static const std::map<std::string, at::ScalarType> names{
      {"F32", at::kFloat}, {"F64", at::kDouble}, {"U8", at::kByte}, {"I64", at::kLong}};
  return names;
}

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
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  uint64_t length = 0;
  if (bytes.size() < sizeof length) throw std::runtime_error(path + " is no safetensors file");
  std::memcpy(&length, bytes.data(), sizeof length);
  if (length > bytes.size() - sizeof length) throw std::runtime_error(path + " is cut off");
  const std::string header = bytes.substr(sizeof length, length);
  const size_t start = sizeof length + length;

  Input input;
  const Json root = JsonReader(header).read();
  for (const auto& [name, entry] : root.object()) {
    if (name == "__metadata__") {
      for (const auto& [key, value] : entry.object()) input.options[key] = value.text();
      continue;
    }
    std::vector<int64_t> shape;
    for (const Json& size : entry.at("shape").array()) {
      shape.push_back(static_cast<int64_t>(size.number()));
    }
    const auto begin = static_cast<size_t>(entry.at("data_offsets").array().at(0).number());
    const at::Tensor tensor = at::empty(shape, dtypes().at(entry.at("dtype").text()));
    if (start + begin + tensor.nbytes() > bytes.size()) {
      throw std::runtime_error(path + " is cut off in " + name);
    }
    std::memcpy(tensor.mutable_data_ptr(), bytes.data() + start + begin, tensor.nbytes());
    input.tensors[name] = tensor;
  }
  return input;
}

void write(const std::string& path, const Tensors& tensors) {
  std::ostringstream header;
  std::string data;
  for (const auto& [name, given] : tensors) {
    const at::Tensor tensor = given.detach().cpu().contiguous();
    header << (data.empty() && header.tellp() == 0 ? "{" : ",") << '"' << name
           << "\":{\"dtype\":\"";
    for (const auto& [dtype, type] : dtypes()) {
      if (type == tensor.scalar_type()) header << dtype;
    }
    header << "\",\"shape\":[";
    for (int64_t i = 0; i < tensor.dim(); ++i) header << (i > 0 ? "," : "") << tensor.size(i);
    header << "],\"data_offsets\":[" << data.size() << ',' << data.size() + tensor.nbytes() << "]}";
    data.append(static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes());
  }
  header << '}';
  const std::string text = header.str();
  const uint64_t length = text.size();
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(&length), sizeof length);
  file << text << data;
  file.close();
  if (!file) throw std::runtime_error("cannot write " + path);
}

at::Tensor scalar(double value) {
  return at::full({1}, value, at::kDouble);
}

// --- options
// --------------------------------------------------------------------------------------

flexae::Regularizer read_regularizer(const Json& json) {
  return {json.at("l1").number(), json.at("l2").number()};
}

flexae::Constraint read_constraint(const Json& json) {
  flexae::Constraint result;
  result.kind = flexae::constraint_from_name(json.at("name").text());
  const auto& given = json.object();
  if (given.contains("minValue")) result.min_value = given.at("minValue").number();
  if (given.contains("maxValue")) result.max_value = given.at("maxValue").number();
  if (given.contains("rate")) result.rate = given.at("rate").number();
  return result;
}

std::vector<int64_t> integers(const Json& json) {
  std::vector<int64_t> result;
  for (const Json& entry : json.array()) result.push_back(static_cast<int64_t>(entry.number()));
  return result;
}

flexae::ModelConfig model_config(const Input& input) {
  const Json json = JsonReader(input.text("config")).read();
  flexae::ModelConfig c;
  c.height = static_cast<int64_t>(json.at("height").number());
  c.width = static_cast<int64_t>(json.at("width").number());
  c.channels = static_cast<int64_t>(json.at("channels").number());
  c.filters = integers(json.at("filters"));
  c.pooling.clear();
  for (const Json& entry : json.at("pooling").array()) {
    c.pooling.push_back(flexae::pooling_from_name(entry.text()));
  }
  c.kernel_size = integers(json.at("kernelSize"));
  c.strides = integers(json.at("strides"));
  c.activation = flexae::activation_from_name(json.at("activation").text());
  c.last_activation = flexae::activation_from_name(json.at("lastActivation").text());
  c.drop_rate = json.at("dropRate").number();
  c.dims = integers(json.at("dims"));
  c.mlp = json.at("mlp").flag();
  c.use_bias = json.at("useBias").flag();
  c.kernel_initializer = flexae::initializer_from_name(json.at("kernelInitializer").text());
  c.bias_initializer = flexae::initializer_from_name(json.at("biasInitializer").text());
  c.kernel_regularizer = read_regularizer(json.at("kernelRegularizer"));
  c.bias_regularizer = read_regularizer(json.at("biasRegularizer"));
  c.activity_regularizer = read_regularizer(json.at("activityRegularizer"));
  c.kernel_constraint = read_constraint(json.at("kernelConstraint"));
  c.bias_constraint = read_constraint(json.at("biasConstraint"));
  c.cnn_kernel_initializer = flexae::initializer_from_name(json.at("cnnKernelInitializer").text());
  c.cnn_bias_initializer = flexae::initializer_from_name(json.at("cnnBiasInitializer").text());
  c.cnn_kernel_regularizer = read_regularizer(json.at("cnnKernelRegularizer"));
  c.batch_norm_momentum = json.at("batchNormMomentum").number();
  c.batch_norm_epsilon = json.at("batchNormEpsilon").number();
  return c;
}

flexae::WeightLayout layout(const std::string& name) {
  static const std::map<std::string, flexae::WeightLayout> names{
      {"dense", flexae::WeightLayout::kDense},
      {"conv", flexae::WeightLayout::kConv},
      {"conv_transpose", flexae::WeightLayout::kConvTranspose},
      {"bias", flexae::WeightLayout::kBias}};
  return names.at(name);
}

// --- operations
// -----------------------------------------------------------------------------------

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
    optimizer.step(gradients);
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
  metrics.add(input.tensor("logits"), input.tensor("target"), {}, &grad);
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
    const at::Tensor images = flexae::Autoencoder::scale(
        input.tensor("images").slice(0, step * batch, (step + 1) * batch));
    flexae::Metrics metrics(at::kCPU);
    at::Tensor grad;
    const at::Tensor logits = model.forward(images, /*seed=*/1, static_cast<uint64_t>(step));
    metrics.add(logits, images, model.penalties(), &grad);
    model.backward(grad);
    optimizer.step(model.gradients());
    model.constrain();
    out[indexed("loss", static_cast<size_t>(step))] = scalar(metrics.values().loss);
  }
  for (const auto& [name, tensor] : model.state()) out[name] = tensor;
  return out;
}

/// images: N×H×W×C bytes. Gives embedding (N×D) and output (N×C×H×W), in evaluation mode.
Tensors forward(const Input& input) {
  flexae::Autoencoder model = make_model(input);
  const at::Tensor embedding = model.encode(flexae::Autoencoder::scale(input.tensor("images")));
  return {{"embedding", embedding}, {"output", model.decode(embedding).sigmoid()}};
}

}  // namespace

int main(int argc, char** argv) {
  const std::map<std::string, std::function<Tensors(const Input&)>> operations{
      {"optimizer", optimizer},     {"initializer", initializer}, {"constraint", constraint},
      {"regularizer", regularizer}, {"activation", activation},   {"loss", loss},
      {"train_step", train_step},   {"forward", forward}};
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
