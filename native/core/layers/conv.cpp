#include "core/layers/conv.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "core/cuda/narrow_conv.h"
#include "core/cuda/norm.h"
#include "core/cuda/runtime.h"
#include "core/layers/crop.h"
#include "core/layers/kinds.h"
#include "core/layers/make_parameter.h"
#include "core/layers/script.h"

namespace flexae {
namespace {

constexpr auto kChannelsLast = at::MemoryFormat::ChannelsLast;

std::vector<WeightSpec> conv_weights(const LayerSpec& spec) {
  const int64_t k = spec.kernel;
  const bool transposed = spec.is(kinds::kConvTranspose);
  return {{"weight", transposed ? std::vector<int64_t>{spec.in.c, spec.out.c, k, k}
                                : std::vector<int64_t>{spec.out.c, spec.in.c, k, k}},
          {"bias", {spec.out.c}}};
}

/// What one pixel of `pixels` takes of the other side's `channels`.
double products(const LayerSpec& spec, const Shape& pixels, int64_t channels) {
  return static_cast<double>(pixels.c) * static_cast<double>(pixels.h) *
         static_cast<double>(pixels.w) * static_cast<double>(channels) *
         static_cast<double>(spec.kernel) * static_cast<double>(spec.kernel);
}

/// Whether a GPU has kernels for such a convolution: cuDNN's, or ours where its are slow.
bool has_gpu_kernels(const LayerSpec& spec, int64_t kernel, int64_t stride) {
  constexpr int64_t kFew = 3;
  const bool transposed = spec.is(kinds::kConvTranspose);
  const int64_t channels = transposed ? spec.out.c : spec.in.c;
  const int64_t cells = transposed ? spec.in.c : spec.out.c;
  return channels > kFew || cuda::NarrowConv::takes(kernel, stride, channels, cells);
}

LayerWindow conv_window(const LayerSpec& layer) {
  const auto vertical = same_padding(layer.in.h, layer.kernel, layer.stride);
  const auto horizontal = same_padding(layer.in.w, layer.kernel, layer.stride);
  return {.kernel = {layer.kernel, layer.kernel},
          .stride = {layer.stride, layer.stride},
          .pads = {vertical[0], horizontal[0], vertical[1], horizontal[1]}};
}

LayerWindow transposed_window(const LayerSpec& layer) {
  const int64_t p = same_transpose_crop(layer.kernel, layer.stride);
  const int64_t extra = std::max<int64_t>(layer.stride - layer.kernel, 0);
  const auto full = [&](int64_t size) {
    return (size - 1) * layer.stride + layer.kernel - 2 * p + extra;
  };
  return {.kernel = {layer.kernel, layer.kernel},
          .stride = {layer.stride, layer.stride},
          .pads = {p, p, p, p},
          .output_padding = {extra, extra},
          .crop = {full(layer.in.h) - layer.out.h, full(layer.in.w) - layer.out.w}};
}

std::string conv_to_script(const LayerSpec& layer) {
  const auto [top, left, bottom, right] = conv_window(layer).pads;
  std::vector<int64_t> padding{top, left};
  std::string code;
  if (top != bottom || left != right) {
    code = script::assign("torch.constant_pad_nd(x, " + script::list({left, right, top, bottom}) +
                          ")");
    padding = {0, 0};
  }
  const std::string self = "self." + layer.name;
  return code + script::assign("torch.conv2d(x, " + self + ".weight, " + self + ".bias, " +
                               script::list({layer.stride, layer.stride}) + ", " +
                               script::list(padding) + ")");
}

std::string to_transposed_script(const LayerSpec& layer) {
  const LayerWindow window = transposed_window(layer);
  const int64_t p = window.pads[0];
  const int64_t extra = window.output_padding[0];
  const std::string self = "self." + layer.name;
  return script::assign("torch.conv_transpose2d(x, " + self + ".weight, " + self + ".bias, " +
                        script::list({layer.stride, layer.stride}) + ", " + script::list({p, p}) +
                        ", " + script::list({extra, extra}) + ")") +
         script::crop(layer, layer.out.h + window.crop[0], layer.out.w + window.crop[1]);
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
                       conv_weights(spec)[0].sizes, config.cnn_kernel_initializer, bits));
    parameters_.back().regularizer = config.cnn_kernel_regularizer;
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

  const Parameter* leave_out_bias() override {
    normalized_ = true;
    return &parameter("bias");
  }

  Activations forward(const Activations& value, PassContext& context) override {
    const at::Tensor x = value.materialize();
    const bool biased = !context.training || !normalized_;
    if (const auto narrow = narrow_for(x)) {
      if (context.training) input_ = x;
      const at::Tensor weight = effective_weight();
      at::Tensor y = transposed() ? narrow->backward_data(x, weight, spec_.out.h, spec_.out.w)
                                  : narrow->forward(x, weight, spec_.out.h, spec_.out.w);
      if (biased) y += parameter("bias").value.to(y.scalar_type()).view({1, -1, 1, 1});
      return y;
    }
    const at::Tensor input =
        explicit_padding_.empty() ? x : at::constant_pad_nd(x, explicit_padding_);
    const std::optional<at::Tensor> bias =
        biased ? std::optional<at::Tensor>(parameter("bias").value.to(x.scalar_type()))
               : std::nullopt;
    const at::Tensor y =
        at::convolution(input, effective_weight().to(x.scalar_type()), bias, {stride_, stride_},
                        padding_, {1, 1}, transposed(), {output_padding_, output_padding_}, 1);
    if (context.training) {
      input_ = input;
      full_ = {y.size(2), y.size(3)};
    }
    if (normalized_ && cuda::Norm::takes(y)) {
      // The normalization behind takes a part of the images as it lies, and its gradient is whole.
      return y.slice(2, 0, spec_.out.h).slice(3, 0, spec_.out.w);
    }
    return crop(y, spec_.out.h, spec_.out.w);
  }

  at::Tensor backward(const at::Tensor& grad, bool input_grad) override {
    if (!normalized_)
      parameter("bias").grad.tensor = grad.sum({0, 2, 3}, /*keepdim=*/false, at::kFloat);
    if (const auto narrow = narrow_for(input_)) {
      const at::Tensor weight = effective_weight();
      const at::Tensor& image = transposed() ? grad : input_;
      const at::Tensor& cells = transposed() ? input_ : grad;
      take_gradient(narrow->backward_weights(image, cells));
      at::Tensor dx;
      if (input_grad) {
        dx = transposed() ? narrow->forward(grad, weight, in_.h, in_.w)
                          : narrow->backward_data(grad, weight, in_.h, in_.w);
      }
      release();
      return dx;
    }
    const at::Tensor full = uncrop(grad, full_[0], full_[1]);
    auto [dx, dw, db] =
        at::convolution_backward(full, input_, effective_weight().to(grad.scalar_type()),
                                 std::nullopt, {stride_, stride_}, padding_, {1, 1}, transposed(),
                                 {output_padding_, output_padding_}, 1, {input_grad, true, false});
    take_gradient(dw.to(parameter("weight").value.scalar_type()));
    release();
    if (!input_grad || explicit_padding_.empty()) return dx;
    return dx.slice(2, explicit_padding_[2], explicit_padding_[2] + spec_.in.h)
        .slice(3, explicit_padding_[0], explicit_padding_[0] + spec_.in.w)
        .contiguous(kChannelsLast);
  }

  void release() override { input_.reset(); }

 private:
  [[nodiscard]] bool transposed() const { return spec_.is(kinds::kConvTranspose); }

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
    const at::Tensor& weight = parameter("weight").value;
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
      gradient = at::zeros_like(parameter("weight").value);
      for_each_shift(dw, [&](const at::Tensor& part) { gradient.add_(part); });
    }
    parameter("weight").grad.tensor =
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
  bool normalized_ = false;  ///< See leave_out_bias().
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

std::unique_ptr<Layer> make(const LayerSpec& spec, const ModelConfig& config, uint64_t bits) {
  return std::make_unique<Conv>(spec, config, bits, nullptr);
}

}  // namespace

const LayerKind kinds::kConv{
    .keras_name = [](const LayerSpec&) -> std::string { return "Conv2D"; },
    .make = make,
    .torchscript = conv_to_script,
    .weights = conv_weights,
    .window = conv_window,
    .macs = [](const LayerSpec& spec) { return products(spec, spec.out, spec.in.c); },
    .kept = [](const LayerSpec& spec) { return spec.out.numel(); },
    .has_gpu_kernels =
        [](const LayerSpec& spec) { return has_gpu_kernels(spec, spec.kernel, spec.stride); }};

const LayerKind kinds::kConvTranspose{
    .keras_name = [](const LayerSpec&) -> std::string { return "Conv2DTranspose"; },
    .make = make,
    .torchscript = to_transposed_script,
    .weights = conv_weights,
    .window = transposed_window,
    .macs = [](const LayerSpec& spec) { return products(spec, spec.in, spec.out.c); },
    .has_gpu_kernels =
        [](const LayerSpec& spec) { return has_gpu_kernels(spec, spec.kernel, spec.stride); }};

std::unique_ptr<Layer> make_upsampled_conv(const LayerSpec& upsample, const LayerSpec& conv,
                                           const ModelConfig& config, uint64_t bits) {
  return std::make_unique<Conv>(conv, config, bits, &upsample);
}

bool upsampled_conv_has_gpu_kernels(const LayerSpec& conv) {
  return has_gpu_kernels(conv, conv.kernel + conv.stride, 2 * conv.stride);
}

}  // namespace flexae
