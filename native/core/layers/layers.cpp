#include "core/layers/layers.h"

#include <ATen/ATen.h>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/cuda/narrow_conv.h"
#include "core/cuda/norm.h"
#include "core/cuda/runtime.h"
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

/// A convolution or a transposed one, on a GPU together with the upsampling in front of it. Narrow
/// ones go by kernels of our own there (cuda/narrow_conv.h).
class Conv : public Layer {
 public:
  Conv(const LayerSpec& spec, const ModelConfig& config, uint64_t bits, const LayerSpec* upsample)
      : Layer(spec),
        upsampled_(upsample != nullptr),
        in_(upsampled_ ? upsample->in : spec.in),
        kernel_(upsampled_ ? spec.kernel + spec.stride : spec.kernel),
        stride_(upsampled_ ? 2 * spec.stride : spec.stride) {
    const int64_t k = spec.kernel;
    parameters_.push_back(
        make_parameter(spec.full_name() + ".weight",
                       transposed() ? WeightLayout::kConvTranspose : WeightLayout::kConv,
                       transposed() ? std::vector<int64_t>{spec.in.c, spec.out.c, k, k}
                                    : std::vector<int64_t>{spec.out.c, spec.in.c, k, k},
                       config.cnn_kernel_initializer, bits));
    parameters_[0].regularizer = config.cnn_kernel_regularizer;
    // Always followed by a batch normalization, which takes any constant out again: the bias has
    // no gradient, and only evaluation adds it.
    parameters_.push_back(make_parameter(spec.full_name() + ".bias", WeightLayout::kBias,
                                         {spec.out.c}, config.cnn_bias_initializer,
                                         bits ^ kBiasSalt));
    if (transposed()) {
      const int64_t p = same_transpose_crop(k, spec.stride);
      before_ = {p, p};
      padding_ = {p, p};
      output_padding_ = std::max<int64_t>(spec.stride - k, 0);
    } else {
      const auto vertical = same_padding(spec.in.h, k, spec.stride);
      const auto horizontal = same_padding(spec.in.w, k, spec.stride);
      before_ = {vertical[0], horizontal[0]};
      if (vertical[0] == vertical[1] && horizontal[0] == horizontal[1]) {
        padding_ = before_;
      } else {
        // ATen pads both sides alike, TensorFlow does not.
        explicit_padding_ = {horizontal[0], horizontal[1], vertical[0], vertical[1]};
      }
    }
  }

  Value forward(const Value& value, PassContext& context) override {
    const at::Tensor x = value.dense();
    if (const auto narrow = narrow_for(x)) {
      if (context.training) input_ = x;
      const at::Tensor weight = effective_weight();
      at::Tensor y = transposed() ? narrow->scatter(x, weight, spec_.out.h, spec_.out.w)
                                  : narrow->gather(x, weight, spec_.out.h, spec_.out.w);
      if (!context.training) y += parameters_[1].value.to(y.scalar_type()).view({1, -1, 1, 1});
      return y;
    }
    const at::Tensor input =
        explicit_padding_.empty() ? x : at::constant_pad_nd(x, explicit_padding_);
    const std::optional<at::Tensor> bias =
        context.training ? std::nullopt
                         : std::optional<at::Tensor>(parameters_[1].value.to(x.scalar_type()));
    const at::Tensor y =
        at::convolution(input, effective_weight().to(x.scalar_type()), bias, {stride_, stride_},
                        padding_, {1, 1}, transposed(), {output_padding_, output_padding_}, 1);
    if (context.training) {
      input_ = input;
      full_ = {y.size(2), y.size(3)};
    }
    if (cuda::Norm::takes(y)) {
      // The normalization behind takes a part of the images as it lies, and its gradient is whole.
      return y.slice(2, 0, spec_.out.h).slice(3, 0, spec_.out.w);
    }
    return crop(y, spec_.out.h, spec_.out.w);
  }

  at::Tensor backward(const at::Tensor& grad, bool input_grad) override {
    if (const auto narrow = narrow_for(input_)) {
      const at::Tensor weight = effective_weight();
      const at::Tensor& image = transposed() ? grad : input_;
      const at::Tensor& cells = transposed() ? input_ : grad;
      take_gradient(narrow->weight_gradient(image, cells));
      at::Tensor dx;
      if (input_grad) {
        dx = transposed() ? narrow->gather(grad, weight, in_.h, in_.w)
                          : narrow->scatter(grad, weight, in_.h, in_.w);
      }
      release();
      return dx;
    }
    const at::Tensor full = uncrop(grad, full_[0], full_[1]);
    auto [dx, dw, db] =
        at::convolution_backward(full, input_, effective_weight().to(grad.scalar_type()),
                                 std::nullopt, {stride_, stride_}, padding_, {1, 1}, transposed(),
                                 {output_padding_, output_padding_}, 1, {input_grad, true, false});
    take_gradient(dw.to(parameters_[0].value.scalar_type()));
    release();
    if (!input_grad || explicit_padding_.empty()) return dx;
    return dx.slice(2, explicit_padding_[2], explicit_padding_[2] + spec_.in.h)
        .slice(3, explicit_padding_[0], explicit_padding_[0] + spec_.in.w)
        .contiguous(kChannelsLast);
  }

  void release() override { input_.reset(); }

 private:
  [[nodiscard]] bool transposed() const { return spec_.kind == LayerKind::kConvTranspose; }

  /// Of which side the image is depends on the direction; see cuda/narrow_conv.h.
  [[nodiscard]] std::optional<cuda::NarrowConv> narrow_for(const at::Tensor& x) const {
    const int64_t channels = transposed() ? spec_.out.c : spec_.in.c;
    const int64_t cells = transposed() ? spec_.in.c : spec_.out.c;
    const bool type = x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16;
    if (!x.is_cuda() || !type || !cuda::problem().empty() ||
        !cuda::NarrowConv::takes(kernel_, stride_, channels, cells)) {
      return std::nullopt;
    }
    return cuda::NarrowConv(kernel_, stride_, channels, cells, before_[0], before_[1]);
  }

  /// The weight of the convolution as it is computed. Nearest upsampling by two followed by a
  /// transposed convolution of stride s is one of stride 2s, whose kernel is the sum of the given
  /// one and of it shifted by s down, right, and both.
  [[nodiscard]] at::Tensor effective_weight() const {
    const at::Tensor& weight = parameters_[0].value;
    if (!upsampled_) return weight;
    at::Tensor sum = at::zeros({weight.size(0), weight.size(1), kernel_, kernel_},
                               weight.options().memory_format(kChannelsLast));
    for_each_shift(sum, [&](const at::Tensor& part) { at::Tensor(part).add_(weight); });
    return sum;
  }

  /// The gradient of what effective_weight() gives.
  void take_gradient(const at::Tensor& dw) {
    at::Tensor gradient = dw;
    if (upsampled_) {
      gradient = at::zeros_like(parameters_[0].value);
      for_each_shift(dw, [&](const at::Tensor& part) { gradient.add_(part); });
    }
    parameters_[0].grad.tensor =
        gradient.to(at::kFloat, /*non_blocking=*/false, /*copy=*/false, kChannelsLast);
  }

  template <typename Use>
  void for_each_shift(const at::Tensor& whole, Use use) const {
    const int64_t k = spec_.kernel;
    for (const int64_t down : {int64_t{0}, spec_.stride}) {
      for (const int64_t right : {int64_t{0}, spec_.stride}) {
        use(whole.slice(2, down, down + k).slice(3, right, right + k));
      }
    }
  }

  bool upsampled_;
  Shape in_;
  int64_t kernel_;
  int64_t stride_;
  std::vector<int64_t> before_;  ///< What is padded, or cropped, above and on the left.
  std::vector<int64_t> padding_{0, 0};
  std::vector<int64_t> explicit_padding_;  ///< left, right, top, bottom
  int64_t output_padding_ = 0;
  std::array<int64_t, 2> full_{};
  at::Tensor input_;
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

/// A batch normalization with its activation and, on a GPU, the pooling behind it.
class BatchNorm : public Layer {
 public:
  BatchNorm(const LayerSpec& spec, const ModelConfig& config, const LayerSpec* pool)
      : Layer(spec),
        momentum_(config.batch_norm_momentum),
        epsilon_(config.batch_norm_epsilon),
        kernels_(spec.activation, pool != nullptr ? pool->pooling : Pooling::kNone) {
    const int64_t c = spec.out.c;
    const std::string name = spec.full_name();
    parameters_.push_back(
        make_parameter(name + ".weight", WeightLayout::kBias, {c}, Initializer::kOnes, 0));
    parameters_.push_back(
        make_parameter(name + ".bias", WeightLayout::kBias, {c}, Initializer::kZeros, 0));
    buffers_.push_back({name + ".running_mean", at::zeros({c})});
    buffers_.push_back({name + ".running_var", at::ones({c})});
    if (pool != nullptr) pool_ = std::make_unique<Pool>(*pool);
  }

  /// The bias of the convolution in front, which a training forward leaves out; undefined if none.
  void set_upstream_bias(const Parameter* bias) { upstream_bias_ = bias; }

  Value forward(const Value& value, PassContext& context) override {
    const at::Tensor x = value.dense();
    if (cuda::Norm::takes(x)) return forward_by_kernels(x, context);
    const at::Tensor& gamma = parameters_[0].value;
    const at::Tensor& beta = parameters_[1].value;
    if (!context.training) {
      const at::Tensor z =
          std::get<0>(at::native_batch_norm(x, gamma, beta, buffers_[0].value, buffers_[1].value,
                                            /*training=*/false, 0.0, epsilon_));
      return pooled(activate(z, spec_.activation), context);
    }
    at::Tensor z;
    std::tie(z, mean_, invstd_) =
        at::native_batch_norm(x, gamma, beta, {}, {}, /*training=*/true, 0.0, epsilon_);
    update_statistics();
    input_ = x;
    output_ = activate(z, spec_.activation);
    if (needs_input(spec_.activation)) normalized_ = z;
    return pooled(output_, context);
  }

  at::Tensor backward(const at::Tensor& given, bool /*input_grad*/) override {
    if (batch_.stats.defined()) {
      const cuda::Norm::Gradients gradients = kernels_.backward(input_, given, batch_);
      parameters_[0].grad.tensor = gradients.gamma;
      parameters_[1].grad.tensor = gradients.beta;
      release();
      return gradients.x;
    }
    const at::Tensor grad = pool_ ? pool_->backward(given, /*input_grad=*/true) : given;
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
    batch_.stats.reset();
  }

 private:
  Value forward_by_kernels(const at::Tensor& given, PassContext& context) {
    const at::Tensor& gamma = parameters_[0].value;
    const at::Tensor& beta = parameters_[1].value;
    if (!context.training) {
      const at::Tensor invstd = at::rsqrt(buffers_[1].value + epsilon_);
      const at::Tensor scale = gamma * invstd;
      return kernels_.apply(
          given, at::stack({buffers_[0].value, invstd, scale, beta - buffers_[0].value * scale}));
    }
    input_ = cuda::Norm::prepared(given);
    return kernels_.forward(
        input_, gamma, beta, upstream_bias_ != nullptr ? upstream_bias_->value : at::Tensor(),
        epsilon_, 1.0 - momentum_, buffers_[0].value, buffers_[1].value, batch_);
  }

  at::Tensor pooled(const at::Tensor& y, PassContext& context) {
    return pool_ ? pool_->forward(y, context).dense() : y;
  }

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
  cuda::Norm kernels_;
  std::unique_ptr<Layer> pool_;
  const Parameter* upstream_bias_ = nullptr;
  at::Tensor input_, output_, normalized_, mean_, invstd_;
  cuda::Norm::Batch batch_;  ///< Defined if the kernels did the last training forward().
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
      return std::make_unique<Conv>(spec, config, bits, nullptr);
    case LayerKind::kBatchNorm:
      return std::make_unique<BatchNorm>(spec, config, nullptr);
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

std::unique_ptr<Layer> make_upsampled_conv(const LayerSpec& upsample, const LayerSpec& conv,
                                           const ModelConfig& config, uint64_t bits) {
  return std::make_unique<Conv>(conv, config, bits, &upsample);
}

std::unique_ptr<Layer> make_pooled_norm(const LayerSpec& norm, const LayerSpec& pool,
                                        const ModelConfig& config) {
  return std::make_unique<BatchNorm>(norm, config, &pool);
}

void link_layers(std::vector<std::unique_ptr<Layer>>& layers) {
  for (size_t i = 1; i < layers.size(); ++i) {
    auto* norm = dynamic_cast<BatchNorm*>(layers[i].get());
    auto* conv = dynamic_cast<Conv*>(layers[i - 1].get());
    if (norm != nullptr && conv != nullptr) norm->set_upstream_bias(&conv->parameters()[1]);
  }
}

}  // namespace flexae
