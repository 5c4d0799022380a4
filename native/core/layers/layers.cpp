#include "core/layers/layers.h"

#include <ATen/ATen.h>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/layers/activation.h"
#include "core/layers/dense.h"
#include "core/layers/make_parameter.h"

namespace flexae {
namespace {

constexpr auto kChannelsLast = at::MemoryFormat::ChannelsLast;

/// Keeps the first h rows and w columns.
at::Tensor crop(const at::Tensor& x, int64_t h, int64_t w) {
  if (x.size(2) == h && x.size(3) == w) return x;
  return x.slice(2, 0, h).slice(3, 0, w).contiguous(kChannelsLast);
}

/// The gradient of crop(): zeros where it cut.
at::Tensor uncrop(const at::Tensor& grad, int64_t h, int64_t w) {
  if (grad.size(2) == h && grad.size(3) == w) return grad;
  return at::constant_pad_nd(grad, {0, w - grad.size(3), 0, h - grad.size(2)})
      .contiguous(kChannelsLast);
}

class Conv : public Layer {
 public:
  Conv(const LayerSpec& spec, const ModelConfig& config, uint64_t bits) : Layer(spec) {
    const bool transposed = spec.kind == LayerKind::kConvTranspose;
    const int64_t k = spec.kernel;
    parameters_.push_back(
        make_parameter(spec.full_name() + ".weight",
                       transposed ? WeightLayout::kConvTranspose : WeightLayout::kConv,
                       transposed ? std::vector<int64_t>{spec.in.c, spec.out.c, k, k}
                                  : std::vector<int64_t>{spec.out.c, spec.in.c, k, k},
                       config.cnn_kernel_initializer, bits));
    parameters_[0].regularizer = config.cnn_kernel_regularizer;
    // Always followed by a batch normalization, which takes any constant out again: the bias has
    // no gradient, and only evaluation adds it.
    parameters_.push_back(make_parameter(spec.full_name() + ".bias", WeightLayout::kBias,
                                         {spec.out.c}, config.cnn_bias_initializer,
                                         bits ^ kBiasSalt));
    if (transposed) {
      const int64_t p = same_transpose_crop(k, spec.stride);
      padding_ = {p, p};
      output_padding_ = std::max<int64_t>(spec.stride - k, 0);
    } else {
      const auto vertical = same_padding(spec.in.h, k, spec.stride);
      const auto horizontal = same_padding(spec.in.w, k, spec.stride);
      if (vertical[0] == vertical[1] && horizontal[0] == horizontal[1]) {
        padding_ = {vertical[0], horizontal[0]};
      } else {
        // ATen pads both sides alike, TensorFlow does not.
        explicit_padding_ = {horizontal[0], horizontal[1], vertical[0], vertical[1]};
      }
    }
  }

  Value forward(const Value& value, PassContext& context) override {
    const at::Tensor x = value.dense();
    const at::Tensor input =
        explicit_padding_.empty() ? x : at::constant_pad_nd(x, explicit_padding_);
    const at::Tensor& weight = parameters_[0].value;
    const std::optional<at::Tensor> bias =
        context.training ? std::nullopt
                         : std::optional<at::Tensor>(parameters_[1].value.to(x.scalar_type()));
    const at::Tensor y =
        at::convolution(input, weight.to(x.scalar_type()), bias, {spec_.stride, spec_.stride},
                        padding_, {1, 1}, transposed(), {output_padding_, output_padding_}, 1);
    if (context.training) {
      input_ = input;
      full_ = {y.size(2), y.size(3)};
    }
    return crop(y, spec_.out.h, spec_.out.w);
  }

  at::Tensor backward(const at::Tensor& grad, bool input_grad) override {
    const at::Tensor full = uncrop(grad, full_[0], full_[1]);
    auto [dx, dw, db] = at::convolution_backward(
        full, input_, parameters_[0].value.to(grad.scalar_type()), std::nullopt,
        {spec_.stride, spec_.stride}, padding_, {1, 1}, transposed(),
        {output_padding_, output_padding_}, 1, {input_grad, true, false});
    parameters_[0].grad.tensor =
        dw.to(at::kFloat, /*non_blocking=*/false, /*copy=*/false, kChannelsLast);
    release();
    if (!input_grad || explicit_padding_.empty()) return dx;
    return dx.slice(2, explicit_padding_[2], explicit_padding_[2] + spec_.in.h)
        .slice(3, explicit_padding_[0], explicit_padding_[0] + spec_.in.w)
        .contiguous(kChannelsLast);
  }

  void release() override { input_.reset(); }

 private:
  [[nodiscard]] bool transposed() const { return spec_.kind == LayerKind::kConvTranspose; }

  std::vector<int64_t> padding_{0, 0};
  std::vector<int64_t> explicit_padding_;  ///< left, right, top, bottom
  int64_t output_padding_ = 0;
  std::array<int64_t, 2> full_{};
  at::Tensor input_;
};

class BatchNorm : public Layer {
 public:
  BatchNorm(const LayerSpec& spec, const ModelConfig& config)
      : Layer(spec), momentum_(config.batch_norm_momentum), epsilon_(config.batch_norm_epsilon) {
    const int64_t c = spec.out.c;
    const std::string name = spec.full_name();
    parameters_.push_back(
        make_parameter(name + ".weight", WeightLayout::kBias, {c}, Initializer::kOnes, 0));
    parameters_.push_back(
        make_parameter(name + ".bias", WeightLayout::kBias, {c}, Initializer::kZeros, 0));
    buffers_.push_back({name + ".running_mean", at::zeros({c})});
    buffers_.push_back({name + ".running_var", at::ones({c})});
  }

  /// The bias of the convolution in front, which a training forward leaves out; undefined if none.
  void set_upstream_bias(const Parameter* bias) { upstream_bias_ = bias; }

  Value forward(const Value& value, PassContext& context) override {
    const at::Tensor x = value.dense();
    const at::Tensor& gamma = parameters_[0].value;
    const at::Tensor& beta = parameters_[1].value;
    if (!context.training) {
      const at::Tensor z =
          std::get<0>(at::native_batch_norm(x, gamma, beta, buffers_[0].value, buffers_[1].value,
                                            /*training=*/false, 0.0, epsilon_));
      return activate(z, spec_.activation);
    }
    at::Tensor z;
    std::tie(z, mean_, invstd_) =
        at::native_batch_norm(x, gamma, beta, {}, {}, /*training=*/true, 0.0, epsilon_);
    update_statistics();
    input_ = x;
    output_ = activate(z, spec_.activation);
    if (needs_input(spec_.activation)) normalized_ = z;
    return output_;
  }

  at::Tensor backward(const at::Tensor& grad, bool /*input_grad*/) override {
    const at::Tensor dz = activate_backward(grad, normalized_, output_, spec_.activation);
    auto [dx, dgamma, dbeta] =
        at::native_batch_norm_backward(dz, input_, parameters_[0].value, {}, {}, mean_, invstd_,
                                       /*train=*/true, epsilon_, {true, true, true});
    parameters_[0].grad.tensor = dgamma;
    parameters_[1].grad.tensor = dbeta;
    release();
    return dx;
  }

  void release() override {
    input_.reset();
    output_.reset();
    normalized_.reset();
  }

 private:
  /// Keras keeps the biased variance of the batch; PyTorch's own update would take the unbiased
  /// one.
  void update_statistics() {
    const double fresh = 1.0 - momentum_;
    at::Tensor mean = mean_;
    if (upstream_bias_ != nullptr) mean = mean + upstream_bias_->value;
    const at::Tensor variance = invstd_.pow(-2).sub_(epsilon_).clamp_min_(0);
    buffers_[0].value.lerp_(mean, fresh);
    buffers_[1].value.lerp_(variance, fresh);
  }

  double momentum_;
  double epsilon_;
  const Parameter* upstream_bias_ = nullptr;
  at::Tensor input_, output_, normalized_, mean_, invstd_;
};

class Pool : public Layer {
 public:
  using Layer::Layer;

  Value forward(const Value& value, PassContext& context) override {
    const at::Tensor x = value.dense();
    // Padding "same" of a 2×2 window pads at most one row behind: ceil_mode without padding, with
    // means over the pixels that exist.
    if (spec_.pooling == Pooling::kAvg) {
      if (context.training) input_ = x;
      return at::avg_pool2d(x, {2, 2}, {2, 2}, {0, 0}, /*ceil_mode=*/true,
                            /*count_include_pad=*/false);
    }
    auto [y, indices] = at::max_pool2d_with_indices(x, {2, 2}, {2, 2}, {0, 0}, {1, 1},
                                                    /*ceil_mode=*/true);
    if (context.training) {
      input_ = x;
      indices_ = indices;
    }
    return y;
  }

  at::Tensor backward(const at::Tensor& grad, bool /*input_grad*/) override {
    at::Tensor dx;
    if (spec_.pooling == Pooling::kAvg) {
      dx = at::avg_pool2d_backward(grad, input_, {2, 2}, {2, 2}, {0, 0}, true, false, std::nullopt);
    } else {
      dx = at::max_pool2d_with_indices_backward(grad, input_, {2, 2}, {2, 2}, {0, 0}, {1, 1}, true,
                                                indices_);
    }
    release();
    return dx;
  }

  void release() override {
    input_.reset();
    indices_.reset();
  }

 private:
  at::Tensor input_, indices_;
};

class Upsample : public Layer {
 public:
  using Layer::Layer;

  Value forward(const Value& value, PassContext& /*context*/) override {
    const at::Tensor x = value.dense();
    return crop(at::upsample_nearest2d(x, {spec_.in.h * 2, spec_.in.w * 2}), spec_.out.h,
                spec_.out.w);
  }

  at::Tensor backward(const at::Tensor& grad, bool /*input_grad*/) override {
    const int64_t h = spec_.in.h * 2;
    const int64_t w = spec_.in.w * 2;
    return at::upsample_nearest2d_backward(uncrop(grad, h, w), {h, w},
                                           {grad.size(0), spec_.in.c, spec_.in.h, spec_.in.w});
  }
};

class Dropout : public Layer {
 public:
  Dropout(const LayerSpec& spec, uint64_t index) : Layer(spec), index_(index) {}

  void draw(int64_t images, const at::TensorOptions& options, uint64_t seed,
            uint64_t step) override {
    if (!masks_.defined() || masks_.size(0) < images) {
      masks_ = at::empty({images, spec_.in.numel()}, options);
    }
    const double keep = 1.0 - spec_.drop_rate;
    const uint64_t bits = random_bits(seed, RandomPurpose::kDropout, step, index_);
    const at::Tensor masks = masks_.narrow(0, 0, images);
    if (masks.is_cpu() && masks.scalar_type() == at::kFloat) {
      draw_dropout(masks, keep, bits);
    } else {
      masks.bernoulli_(keep, make_generator(masks.device(), bits)).div_(keep);
    }
  }

  Value forward(const Value& value, PassContext& context) override {
    const at::Tensor x = value.dense();
    if (!context.training) return x;
    return x * masks_.narrow(0, 0, x.size(0));
  }

  at::Tensor backward(const at::Tensor& grad, bool /*input_grad*/) override {
    return grad * masks_.narrow(0, 0, grad.size(0));
  }

 private:
  uint64_t index_;
  at::Tensor masks_;  ///< Of as many images as there have been at once.
};

/// N×C×H×W in channels_last ↔ N×(H·W·C): no bytes move.
class Flatten : public Layer {
 public:
  using Layer::Layer;

  Value forward(const Value& value, PassContext& /*context*/) override {
    const at::Tensor x = value.dense();
    return spec_.out.flat ? flatten(x) : unflatten(x, spec_.out);
  }

  at::Tensor backward(const at::Tensor& grad, bool /*input_grad*/) override {
    return spec_.out.flat ? unflatten(grad, spec_.in) : flatten(grad);
  }

 private:
  static at::Tensor flatten(const at::Tensor& x) {
    return x.permute({0, 2, 3, 1}).reshape({x.size(0), -1});
  }
  static at::Tensor unflatten(const at::Tensor& x, const Shape& shape) {
    return x.reshape({x.size(0), shape.h, shape.w, shape.c}).permute({0, 3, 1, 2});
  }
};

}  // namespace

std::unique_ptr<Layer> make_layer(const LayerSpec& spec, const ModelConfig& config, uint64_t bits) {
  switch (spec.kind) {
    case LayerKind::kConv:
    case LayerKind::kConvTranspose:
      return std::make_unique<Conv>(spec, config, bits);
    case LayerKind::kBatchNorm:
      return std::make_unique<BatchNorm>(spec, config);
    case LayerKind::kDense:
      return std::make_unique<Dense>(spec, config, bits);
    case LayerKind::kPool:
      return std::make_unique<Pool>(spec);
    case LayerKind::kUpsample:
      return std::make_unique<Upsample>(spec);
    case LayerKind::kDropout:
      return std::make_unique<Dropout>(spec, bits);
    case LayerKind::kFlatten:
    case LayerKind::kReshape:
      return std::make_unique<Flatten>(spec);
  }
  throw Error(ErrorCode::kInternal, "unhandled layer kind");
}

void link_layers(std::vector<std::unique_ptr<Layer>>& layers) {
  for (size_t i = 1; i < layers.size(); ++i) {
    auto* norm = dynamic_cast<BatchNorm*>(layers[i].get());
    auto* conv = dynamic_cast<Conv*>(layers[i - 1].get());
    if (norm != nullptr && conv != nullptr) norm->set_upstream_bias(&conv->parameters()[1]);
  }
}

}  // namespace flexae
