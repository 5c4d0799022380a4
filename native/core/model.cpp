#include "core/model.h"

#include <ATen/ATen.h>

#include <map>

#include "core/error.h"
#include "core/penalty.h"
#include "core/random.h"

namespace flexae {

Autoencoder::Autoencoder(const ModelConfig& config, uint64_t seed, at::Device device)
    : config_(config), device_(device) {
  std::vector<LayerSpec> specs = make_layers(config);
  // The loss takes logits: the last sigmoid is left to whoever wants images.
  specs.back().activation = Activation::kLinear;
  uint64_t index = 0;
  for (const LayerSpec& spec : specs) {
    layers_.push_back(
        make_layer(spec, config_, random_bits(seed, RandomPurpose::kInitializer, index++)));
  }
  link_layers(layers_);
  for (const auto& layer : layers_) {
    for (Parameter& p : layer->parameters()) {
      p.value = p.value.to(device);
      trainable_.push_back(&p);
    }
    for (Buffer& b : layer->buffers()) b.value = b.value.to(device);
  }
}

at::Tensor Autoencoder::scale(const at::Tensor& bytes) {
  return bytes.to(at::kFloat).div_(255).permute({0, 3, 1, 2});
}

at::Tensor Autoencoder::run(const at::Tensor& x, Part part, PassContext& context) {
  at::Tensor value = x;
  for (const auto& layer : layers_) {
    if (layer->spec().part == part) value = layer->forward(value, context);
  }
  return value;
}

at::Tensor Autoencoder::encode(const at::Tensor& images) {
  PassContext context;
  at::Tensor embedding =
      run(images.contiguous(at::MemoryFormat::ChannelsLast), Part::kEncoder, context);
  activity_penalty_ = context.activity_penalty;
  return embedding;
}

at::Tensor Autoencoder::decode(const at::Tensor& embeddings) {
  PassContext context;
  at::Tensor logits = run(embeddings, Part::kDecoder, context);
  if (context.activity_penalty.defined()) {
    activity_penalty_ = activity_penalty_.defined() ? activity_penalty_ + context.activity_penalty
                                                    : context.activity_penalty;
  }
  return logits;
}

at::Tensor Autoencoder::forward(const at::Tensor& images, uint64_t seed, uint64_t step) {
  PassContext context;
  context.training = true;
  context.seed = seed;
  context.step = step;
  at::Tensor value = run(images, Part::kEncoder, context);
  value = run(value, Part::kDecoder, context);
  activity_penalty_ = context.activity_penalty;
  return value;
}

void Autoencoder::backward(const at::Tensor& grad) {
  at::Tensor g = grad;
  for (size_t i = layers_.size(); i-- > 0;) g = layers_[i]->backward(g, /*input_grad=*/i > 0);
  for (Parameter* p : trainable_) {
    if (!p->grad.defined()) p->grad = at::zeros_like(p->value);
    if (p->regularizer.active()) p->grad = p->grad + penalty_grad(p->value, p->regularizer);
  }
}

void Autoencoder::constrain() {
  for (Parameter* p : trainable_) flexae::constrain(p->value, p->layout, p->constraint);
}

at::Tensor Autoencoder::penalties() const {
  at::Tensor total = activity_penalty_;
  for (const Parameter* p : trainable_) {
    if (!p->regularizer.active()) continue;
    const at::Tensor cost = penalty(p->value, p->regularizer);
    total = total.defined() ? total + cost : cost;
  }
  return total;
}

std::vector<at::Tensor> Autoencoder::parameters() const {
  std::vector<at::Tensor> values;
  values.reserve(trainable_.size());
  for (const Parameter* p : trainable_) values.push_back(p->value);
  return values;
}

std::vector<at::Tensor> Autoencoder::gradients() const {
  std::vector<at::Tensor> values;
  values.reserve(trainable_.size());
  for (const Parameter* p : trainable_) values.push_back(p->grad);
  return values;
}

std::vector<std::string> Autoencoder::parameter_names() const {
  std::vector<std::string> names;
  names.reserve(trainable_.size());
  for (const Parameter* p : trainable_) names.push_back(p->name);
  return names;
}

std::vector<std::pair<std::string, at::Tensor>> Autoencoder::state() const {
  std::vector<std::pair<std::string, at::Tensor>> state;
  for (const auto& layer : layers_) {
    for (const Parameter& p : layer->parameters()) state.emplace_back(p.name, p.value);
    for (const Buffer& b : layer->buffers()) state.emplace_back(b.name, b.value);
  }
  return state;
}

void Autoencoder::load_state(const std::vector<std::pair<std::string, at::Tensor>>& state) {
  std::map<std::string, at::Tensor> values(state.begin(), state.end());
  for (auto& [name, target] : this->state()) {
    const auto found = values.find(name);
    if (found == values.end()) throw Error(ErrorCode::kModel, "the weight '" + name + "' is missing");
    if (found->second.sizes() != target.sizes()) {
      throw Error(ErrorCode::kModel, "the weight '" + name + "' has another shape than the model's");
    }
    at::Tensor(target).copy_(found->second);
  }
}

}  // namespace flexae
