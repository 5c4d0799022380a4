#include "core/model/autoencoder.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <iterator>
#include <map>

#include "core/base/error.h"
#include "core/base/profile_scope.h"
#include "core/base/random.h"
#include "core/cpu/inference.h"
#include "core/layers/constraint.h"
#include "core/layers/kinds.h"
#include "core/layers/layer_list.h"
#include "core/layers/regularizer.h"
#include "core/model/layer_plan.h"

namespace flexae {

namespace {

std::vector<LayerSpec> trained_layers(const ModelConfig& config) {
  std::vector<LayerSpec> specs = make_layers(config);
  // The loss takes logits: the last activation is left to whoever wants images.
  specs.back().activation = Activation::kLinear;
  return specs;
}

/// Whose weights have no first values: others replace them.
ModelConfig unset(ModelConfig config) {
  for (Initializer* first : {&config.kernel_initializer, &config.bias_initializer,
                             &config.cnn_kernel_initializer, &config.cnn_bias_initializer}) {
    *first = Initializer::kUndefined;
  }
  return config;
}

/// Throws Error(kModel) if there is none by this name, or of another shape than the target.
const at::Tensor& find_fitting(const std::map<std::string, at::Tensor>& values,
                               const std::string& name, const at::Tensor& target) {
  const auto found = values.find(name);
  if (found == values.end()) {
    throw Error(ErrorCode::kModel, "the weight '" + name + "' is missing");
  }
  if (found->second.sizes() != target.sizes()) {
    throw Error(ErrorCode::kModel, "the weight '" + name + "' has another shape than the model's");
  }
  return found->second;
}

}  // namespace

Autoencoder::Autoencoder(const ModelConfig& config, uint64_t seed, at::Device device,
                         Precision precision, bool stages)
    : Autoencoder(config, trained_layers(config), seed, device, precision, stages) {}

Autoencoder Autoencoder::of(const ModelConfig& config, NamedTensors weights, at::Device device,
                            Precision precision, bool whole) {
  std::vector<LayerSpec> specs = whole ? trained_layers(config) : make_layers(config);
  if (!whole) std::erase_if(specs, [](const auto& spec) { return spec.part != Part::kEncoder; });
  Autoencoder model(unset(config), specs, /*seed=*/0, device, precision, /*stages=*/true);
  model.config_ = config;
  std::map<std::string, at::Tensor> given(std::make_move_iterator(weights.begin()),
                                          std::make_move_iterator(weights.end()));
  const auto take = [&](const std::string& name, at::Tensor& target) {
    const at::Tensor& found = find_fitting(given, name, target);
    target = found.to(device).contiguous(target.suggest_memory_format());
    given.erase(name);
  };
  for (const auto& layer : model.layers_) {
    for (Parameter& p : layer->parameters()) take(p.name, p.value);
    for (Buffer& b : layer->buffers()) take(b.name, b.value);
  }
  return model;
}

Autoencoder::Autoencoder(const ModelConfig& config, const std::vector<LayerSpec>& specs,
                         uint64_t seed, at::Device device, Precision precision, bool stages)
    : config_(config), device_(device), precision_(precision) {
  const std::vector<PlannedLayer> plan = plan_layers(specs, device, stages);
  for (const PlannedLayer& planned : plan) {
    const uint64_t bits = random_bits(seed, RandomPurpose::kInitializer, planned.seeded);
    layers_.push_back(
        planned.make({specs.data() + planned.first, planned.count}, config_, precision, bits));
  }
  for (const size_t slow : flexae::slow_layers(specs, plan)) {
    slow_layers_.push_back(specs[slow].full_name());
  }
  link_layers(layers_);
  for (const auto& layer : layers_) layer->set_precision(precision);
  for (const auto& layer : layers_) {
    for (Parameter& p : layer->parameters()) {
      p.value = p.value.to(device);
      trainable_.push_back(&p);
    }
    for (Buffer& b : layer->buffers()) b.value = b.value.to(device);
  }
}

at::ScalarType Autoencoder::compute_type() const {
  // A CPU keeps fp32 between the layers, whose products narrow it; a GPU has bf16 in memory too.
  const bool narrow = precision_ == Precision::kBf16 && !device_.is_cpu();
  return narrow ? at::kBFloat16 : at::kFloat;
}

at::Tensor Autoencoder::to_compute(const at::Tensor& images) const {
  return images.to(compute_type())
      .contiguous(images.dim() == 4 ? at::MemoryFormat::ChannelsLast
                                    : at::MemoryFormat::Contiguous);
}

Activations Autoencoder::run_layers(const Activations& x, size_t begin, size_t end,
                                    PassContext& context) {
  Activations value = x;
  for (size_t i = begin; i < end; ++i) {
    const ProfileScope scope(ProfileScope::kForward, layers_[i]->spec().full_name());
    value = layers_[i]->forward(value, context);
  }
  return value;
}

at::Tensor Autoencoder::evaluate(const at::Tensor& x, size_t begin, size_t end,
                                 PassContext& context) {
  std::vector<Layer*> inferring;
  for (size_t i = begin; i < end; ++i) {
    const LayerSpec& spec = layers_[i]->spec();
    // Flattening and reshaping move no bytes.
    if (spec.is(kinds::kFlatten) || spec.is(kinds::kReshape)) continue;
    if (!layers_[i]->infers()) return run_layers(to_compute(x), begin, end, context).materialize();
    inferring.push_back(layers_[i].get());
  }
  if (inferring.empty()) return run_layers(to_compute(x), begin, end, context).materialize();
  const at::Tensor out = flexae::infer(inferring, x.to(at::kFloat));
  if (layers_[end - 1]->spec().is(kinds::kFlatten)) return out.flatten(1);
  return out.permute({0, 3, 1, 2});
}

size_t Autoencoder::first_layer(const LayerKind& kind) const {
  const auto found = std::find_if(layers_.begin(), layers_.end(),
                                  [&](const auto& layer) { return layer->spec().is(kind); });
  return static_cast<size_t>(found - layers_.begin());
}

at::Tensor Autoencoder::encode(const at::Tensor& images) {
  PassContext context;
  const size_t flatten = first_layer(kinds::kFlatten) + 1;
  size_t end = flatten;
  while (end < layers_.size() && layers_[end]->spec().part == Part::kEncoder) ++end;
  const Activations embeddings =
      run_layers(evaluate(images, 0, flatten, context), flatten, end, context);
  activity_penalty_ = context.activity_penalty;
  return embeddings.materialize().to(at::kFloat);
}

at::Tensor Autoencoder::decode(const at::Tensor& embeddings) {
  PassContext context;
  const auto begin = std::find_if(layers_.begin(), layers_.end(), [](const auto& layer) {
    return layer->spec().part == Part::kDecoder;
  });
  const size_t reshape = first_layer(kinds::kReshape);
  const Activations flat = run_layers(
      to_compute(embeddings), static_cast<size_t>(begin - layers_.begin()), reshape, context);
  at::Tensor logits = evaluate(flat.materialize(), reshape, layers_.size(), context).to(at::kFloat);
  if (context.activity_penalty.defined()) {
    activity_penalty_ = activity_penalty_.defined() ? activity_penalty_ + context.activity_penalty
                                                    : context.activity_penalty;
  }
  return logits;
}

void Autoencoder::sample(const Share& share, uint64_t seed, uint64_t step) {
  share_ = share;
  const auto options = at::TensorOptions().dtype(compute_type()).device(device_);
  for (const auto& layer : layers_) layer->sample(share, options, seed, step);
}

Activations Autoencoder::forward(const Activations& images) {
  PassContext context;
  context.training = true;
  if (!share_.is_all()) context.whole = share_.whole;
  const bool as_they_are = images.is_bytes() && device_.is_cpu();
  const Activations x = as_they_are ? images : Activations(to_compute(images.materialize()));
  const Activations logits = run_layers(x, 0, layers_.size(), context);
  activity_penalty_ = context.activity_penalty;
  if (!share_.is_all() && share_.images > 0 && activity_penalty_.defined()) {
    // Penalties are weighted by images: those of a part of the batch count for all of it.
    activity_penalty_ = activity_penalty_ *
                        (static_cast<double>(share_.whole) / static_cast<double>(share_.images));
  }
  return logits.norm() != nullptr ? logits : Activations(logits.materialize());
}

void Autoencoder::backward(const at::Tensor& grad) {
  differentiate(grad, nullptr);
  regularize();
}

void Autoencoder::differentiate(const at::Tensor& grad, const OnLayer& on_layer) {
  at::Tensor g = layers_.back()->takes_narrow_gradients() ? grad : to_compute(grad);
  for (size_t i = layers_.size(); i-- > 0;) {
    if (!layers_[i]->takes_narrow_gradients()) g = g.to(compute_type());
    const ProfileScope scope(ProfileScope::kBackward, layers_[i]->spec().full_name());
    g = layers_[i]->backward(g, /*input_grad=*/i > 0);
    if (on_layer) on_layer(layers_[i]->parameters());
  }
}

void Autoencoder::regularize() {
  for (Parameter* p : trainable_) {
    if (p->grad.rows == nullptr && !p->grad.tensor.defined()) {
      p->grad.tensor = at::zeros_like(p->value);
    }
    if (p->regularizer.active()) {
      p->grad = {p->grad.whole(p->value) + penalty_grad(p->value, p->regularizer)};
    }
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

void Autoencoder::share_statistics(Communicator& communicator) {
  for (const auto& layer : layers_) layer->share_statistics(communicator);
}

std::vector<at::Tensor> Autoencoder::buffers() const {
  std::vector<at::Tensor> values;
  for (const auto& layer : layers_) {
    for (const Buffer& b : layer->buffers()) values.push_back(b.value);
  }
  return values;
}

std::vector<at::Tensor> Autoencoder::parameters() const {
  std::vector<at::Tensor> values;
  values.reserve(trainable_.size());
  for (const Parameter* p : trainable_) values.push_back(p->value);
  return values;
}

std::vector<at::Tensor> Autoencoder::whole_gradients() const {
  std::vector<at::Tensor> values;
  values.reserve(trainable_.size());
  for (const Parameter* p : trainable_) values.push_back(p->grad.whole(p->value));
  return values;
}

std::vector<Gradient> Autoencoder::gradients() const {
  std::vector<Gradient> gradients;
  gradients.reserve(trainable_.size());
  for (const Parameter* p : trainable_) gradients.push_back(p->grad);
  return gradients;
}

std::vector<std::string> Autoencoder::parameter_names() const {
  std::vector<std::string> names;
  names.reserve(trainable_.size());
  for (const Parameter* p : trainable_) names.push_back(p->name);
  return names;
}

NamedTensors Autoencoder::state() const {
  NamedTensors state;
  for (const auto& layer : layers_) {
    for (const Parameter& p : layer->parameters()) state.emplace_back(p.name, p.value);
    for (const Buffer& b : layer->buffers()) state.emplace_back(b.name, b.value);
  }
  return state;
}

void Autoencoder::load_state(const NamedTensors& state) {
  const std::map<std::string, at::Tensor> values(state.begin(), state.end());
  for (auto& [name, target] : this->state()) {
    at::Tensor(target).copy_(find_fitting(values, name, target));
  }
}

void Autoencoder::freeze() {
  for (const auto& layer : layers_) layer->freeze();
}

}  // namespace flexae
