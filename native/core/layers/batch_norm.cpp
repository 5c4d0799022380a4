#include "core/layers/batch_norm.h"

#include <ATen/ATen.h>

#include <tuple>
#include <utility>
#include <vector>

#include "core/cuda/norm.h"
#include "core/layers/activation.h"
#include "core/layers/kinds.h"
#include "core/layers/make_parameter.h"
#include "core/layers/script.h"

namespace flexae {
namespace {

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
    if (pool != nullptr) pool_ = make_layer(*pool, config, /*bits=*/0);
  }

  /// It takes any constant out of what it is given.
  void follow(Layer& front) override { upstream_bias_ = front.leave_out_bias(); }

  void share_statistics(Communicator& communicator) override { communicator_ = &communicator; }

  Activations forward(const Activations& value, PassContext& context) override {
    const at::Tensor x = value.materialize();
    if (context.training && communicator_ != nullptr) return forward_shared(x, context);
    if (cuda::Norm::takes(x)) return forward_by_kernels(x, context);
    const at::Tensor& gamma = parameter("weight").value;
    const at::Tensor& beta = parameter("bias").value;
    if (!context.training) {
      const at::Tensor z = std::get<0>(at::native_batch_norm(
          x, gamma, beta, buffer("running_mean").value, buffer("running_var").value,
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
      parameter("weight").grad.tensor = gradients.gamma;
      parameter("bias").grad.tensor = gradients.beta;
      release();
      return gradients.x;
    }
    const at::Tensor grad = pool_ ? pool_->backward(given, /*input_grad=*/true) : given;
    const at::Tensor dz = activate_backward(grad, normalized_, output_, spec_.activation);
    if (communicator_ != nullptr) return backward_shared(dz);
    auto [dx, dgamma, dbeta] = at::native_batch_norm_backward(
        dz, input_, parameter("weight").value, {}, {}, mean_, invstd_,
        /*train=*/true, epsilon_, {true, true, true});
    parameter("weight").grad.tensor = dgamma;
    parameter("bias").grad.tensor = dbeta;
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
  Activations forward_by_kernels(const at::Tensor& given, PassContext& context) {
    const at::Tensor& gamma = parameter("weight").value;
    const at::Tensor& beta = parameter("bias").value;
    if (!context.training) {
      const at::Tensor invstd = at::rsqrt(buffer("running_var").value + epsilon_);
      const at::Tensor scale = gamma * invstd;
      return kernels_.apply(given, at::stack({buffer("running_mean").value, invstd, scale,
                                              beta - buffer("running_mean").value * scale}));
    }
    input_ = cuda::Norm::prepared(given);
    return kernels_.forward(input_, gamma, beta,
                            upstream_bias_ != nullptr ? upstream_bias_->value : at::Tensor(),
                            epsilon_, 1.0 - momentum_, buffer("running_mean").value,
                            buffer("running_var").value, batch_);
  }

  /// Over all processes' images, of which this one may have none.
  Activations forward_shared(const at::Tensor& x, PassContext& context) {
    input_ = x;
    // Around the moving mean, which is everywhere the same and not far off.
    const at::Tensor around = buffer("running_mean").value;
    const at::Tensor centred = x.to(at::kFloat) - along(around, x);
    const int64_t c = x.size(1);
    const int64_t values = x.numel() / c;
    const at::Tensor sums =
        at::cat({summed(centred), summed(centred.square()),
                 at::full({1}, values, at::TensorOptions().dtype(at::kDouble).device(x.device()))});
    communicator_->sum(sums);
    count_ = sums[2 * c];
    const at::Tensor delta = sums.narrow(0, 0, c) / count_;
    const at::Tensor variance = (sums.narrow(0, c, c) / count_ - delta.square()).clamp_min(0);
    mean_ = (around.to(at::kDouble) + delta).to(at::kFloat);
    invstd_ = (variance + epsilon_).rsqrt().to(at::kFloat);
    update_statistics();
    const at::Tensor scale = invstd_ * parameter("weight").value;
    const at::Tensor z =
        ((x.to(at::kFloat) - along(mean_, x)) * along(scale, x) + along(parameter("bias").value, x))
            .to(x.scalar_type());
    output_ = activate(z, spec_.activation);
    if (needs_input(spec_.activation)) normalized_ = z;
    return pooled(output_, context);
  }

  at::Tensor backward_shared(const at::Tensor& given) {
    const at::Tensor dz = given.to(at::kFloat);
    const at::Tensor centred = input_.to(at::kFloat) - along(mean_, input_);
    const int64_t c = input_.size(1);
    const at::Tensor sums = at::cat({summed(dz), summed(dz * centred)});
    parameter("bias").grad.tensor = sums.narrow(0, 0, c).to(at::kFloat);
    parameter("weight").grad.tensor = (sums.narrow(0, c, c) * invstd_).to(at::kFloat);
    communicator_->sum(sums);
    const at::Tensor means = sums / count_;
    const at::Tensor slope = (means.narrow(0, c, c) * invstd_.square()).to(at::kFloat);
    const at::Tensor dx =
        (dz - along(means.narrow(0, 0, c).to(at::kFloat), dz) - centred * along(slope, dz)) *
        along(parameter("weight").value * invstd_, dz);
    const at::Tensor narrow = dx.to(input_.scalar_type());
    release();
    return narrow;
  }

  /// Over all but the channels, in fp64.
  static at::Tensor summed(const at::Tensor& t) {
    return t.transpose(0, 1).flatten(1).sum(1, /*keepdim=*/false, at::kDouble);
  }
  /// A value a channel, to be computed with `t`.
  static at::Tensor along(const at::Tensor& values, const at::Tensor& t) {
    std::vector<int64_t> sizes(static_cast<size_t>(t.dim()), 1);
    sizes[1] = values.numel();
    return values.view(sizes);
  }

  at::Tensor pooled(const at::Tensor& y, PassContext& context) {
    return pool_ ? pool_->forward(y, context).materialize() : y;
  }

  /// Keras keeps the biased variance of the batch; PyTorch's own update would take the unbiased
  /// one.
  void update_statistics() {
    const double fresh = 1.0 - momentum_;
    at::Tensor mean = mean_;
    if (upstream_bias_ != nullptr) mean = mean + upstream_bias_->value;
    const at::Tensor variance = invstd_.pow(-2).sub_(epsilon_).clamp_min_(0);
    buffer("running_mean").value.lerp_(mean, fresh);
    buffer("running_var").value.lerp_(variance, fresh);
  }

  double momentum_;
  double epsilon_;
  cuda::Norm kernels_;
  std::unique_ptr<Layer> pool_;
  const Parameter* upstream_bias_ = nullptr;  ///< Null if the layer in front leaves out none.
  Communicator* communicator_ = nullptr;      ///< Null where the batch is this process's.
  at::Tensor count_;                          ///< Values of a channel in the shared batch, fp64.
  at::Tensor input_, output_, normalized_, mean_, invstd_;
  cuda::Norm::Batch batch_;  ///< Defined if the kernels did the last training forward().
};

std::string batch_norm_to_script(const LayerSpec& spec) {
  const std::string self = "self." + spec.name;
  return script::assign("torch.batch_norm(x, " + self + ".weight, " + self + ".bias, " + self +
                        ".running_mean, " + self + ".running_var, False, 0.0, " + self +
                        ".eps, False)") +
         script::assign(activation_source(spec.activation));
}

}  // namespace

const LayerKind kinds::kBatchNorm{
    .keras_name = [](const LayerSpec&) -> std::string { return "BatchNormalization"; },
    .make = [](const LayerSpec& spec, const ModelConfig& config, uint64_t)
        -> std::unique_ptr<Layer> { return std::make_unique<BatchNorm>(spec, config, nullptr); },
    .torchscript = batch_norm_to_script,
    .weights =
        [](const LayerSpec& spec) {
          const std::vector<int64_t> sizes{spec.out.c};
          return std::vector<WeightSpec>{{"weight", sizes},
                                         {"bias", sizes},
                                         {"running_mean", sizes, /*trained=*/false},
                                         {"running_var", sizes, /*trained=*/false}};
        },
    .constants =
        [](const ModelConfig& config) {
          return std::vector<std::pair<std::string, double>>{{"eps", config.batch_norm_epsilon}};
        },
    // Its input and its activated output.
    .kept = [](const LayerSpec& spec) { return 2 * spec.out.numel(); },
    .has_gpu_kernels = [](const LayerSpec&) { return true; }};

std::unique_ptr<Layer> make_pooled_norm(const LayerSpec& norm, const LayerSpec& pool,
                                        const ModelConfig& config) {
  return std::make_unique<BatchNorm>(norm, config, &pool);
}

}  // namespace flexae
