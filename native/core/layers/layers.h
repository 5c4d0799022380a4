#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/comm/communicator.h"
#include "core/comm/share.h"
#include "core/device/precision.h"
#include "core/layers/initializer.h"
#include "core/spec/layer_spec.h"
#include "core/spec/model_config.h"
#include "core/tensor/activations.h"
#include "core/tensor/gradient.h"

namespace flexae {

/// What a pass through the layers needs to know.
struct PassContext {
  /// Training: batch statistics, dropout, and everything kept that backward() needs.
  bool training = false;
  /// Images of the batch in all processes; 0 where they are this one's.
  int64_t whole = 0;
  /// Sum of activity penalties of this pass, 0-dimensional; undefined while there is none.
  at::Tensor activity_penalty;
};

/// A trainable tensor with what training does to it besides the gradient of the loss.
struct Parameter {
  std::string name;  ///< Full name in the exported model.
  at::Tensor value;
  Gradient grad;  ///< Set by backward(); empty where the loss does not depend on the value.
  WeightLayout layout = WeightLayout::kBias;
  Initializer initializer = Initializer::kZeros;
  Regularizer regularizer;
  Constraint constraint;
};

/// A tensor of the model's state that is not trained.
struct Buffer {
  std::string name;
  at::Tensor value;
};

/// One layer with its weights. Images travel as N×C×H×W in channels_last memory format, vectors as
/// N×C. sample(), forward(), backward() on one thread: a training forward() only after sample(),
/// backward() only after a training forward().
class Layer {
 public:
  explicit Layer(const LayerSpec& spec) : spec_(spec) {}
  virtual ~Layer() = default;
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;

  /// Tells the layer what is in front of it, before the first pass.
  virtual void follow(Layer& /*front*/) {}
  /// Asks the layer to leave its bias out of training passes, where it then has no gradient: what
  /// is behind takes any constant out again. \return the bias; null if the layer leaves out none.
  virtual const Parameter* leave_out_bias() { return nullptr; }

  /// Statistics of a batch are made over all processes from now on. `communicator` must outlive the
  /// layer.
  virtual void share_statistics(Communicator& /*communicator*/) {}

  /// Takes from chance what training forward()s of up to `share.images` images need, into memory
  /// that stays where it is unless they become more: what a process that had the whole batch would
  /// take for these. `options`: of what flows between the layers.
  virtual void sample(const Share& /*share*/, const at::TensorOptions& /*options*/,
                      uint64_t /*seed*/, uint64_t /*step*/) {}

  virtual Activations forward(const Activations& x, PassContext& context) = 0;

  /// Whether evaluation can do without forward(): prepare_inference() once, then infer() by several
  /// threads at a time, each for images of its own.
  [[nodiscard]] virtual bool infers() const { return false; }
  virtual void prepare_inference(int /*threads*/) {}
  /// The weights stay as they are from now on, and what prepare_inference() makes of them, too. A
  /// layer may keep no more of them than that.
  virtual void freeze() { frozen_ = true; }
  /// Outputs of `count` images, both fp32 and H×W×C, in evaluation mode. `thread`: below what
  /// prepare_inference() was told.
  virtual void infer(const float* /*images*/, int64_t /*count*/, float* /*out*/, int /*thread*/) {}
  /// The same of three planes each, C×H×W, if it takes_planes().
  virtual void infer_planes(const float* /*images*/, int64_t /*count*/, float* /*out*/,
                            int /*thread*/) {}
  [[nodiscard]] virtual bool takes_planes() const { return false; }

  /// dL/dx from dL/dy; sets the gradients of the parameters. An undefined tensor when `input_grad`
  /// is false.
  virtual at::Tensor backward(const at::Tensor& grad, bool input_grad) = 0;

  /// Whether backward() takes gradients in bf16 on a CPU, where layers compute in fp32.
  [[nodiscard]] virtual bool takes_narrow_gradients() const { return false; }

  /// Drops what the last training forward() kept.
  virtual void release() {}

  /// What the layer's products compute in where its input is fp32.
  void set_precision(Precision precision) { precision_ = precision; }

  [[nodiscard]] const LayerSpec& spec() const { return spec_; }
  [[nodiscard]] std::vector<Parameter>& parameters() { return parameters_; }
  [[nodiscard]] std::vector<Buffer>& buffers() { return buffers_; }

 protected:
  /// By the end of the full name: "weight", or where the layer stands for several,
  /// "conv_0.weight". Throws Error(kInternal) if there is none.
  [[nodiscard]] Parameter& parameter(std::string_view name);
  [[nodiscard]] const Parameter& parameter(std::string_view name) const;
  [[nodiscard]] Buffer& buffer(std::string_view name);

  LayerSpec spec_;
  Precision precision_ = Precision::kFp32;
  bool frozen_ = false;
  std::vector<Parameter> parameters_;
  std::vector<Buffer> buffers_;
};

/// Makes the layer with its weights initialized on the CPU; `bits` seeds the first weight, further
/// ones follow from it.
std::unique_ptr<Layer> make_layer(const LayerSpec& spec, const ModelConfig& config, uint64_t bits);

/// Tells each layer what is in front of it. Call once the vector is complete.
void link_layers(const std::vector<std::unique_ptr<Layer>>& layers);

}  // namespace flexae
