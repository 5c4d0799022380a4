#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/spec/model_config.h"
#include "core/tensor/gradient.h"

namespace flexae {

/// Keras 3's optimizers with its default hyper-parameters (keras.optimizers; Adadelta's learning
/// rate is the caller's, ρ = 0.95, ε = 1e-7). Works on fp32 tensors of one device, in place.
class Optimizer {
 public:
  /// `parameters` are updated by apply(); they share storage with the model's. `by_kernels` lets a
  /// CPU update each of them in one pass over memory; otherwise by ATen's operators.
  Optimizer(OptimizerKind kind, double learning_rate, std::vector<at::Tensor> parameters,
            bool by_kernels = true);

  /// Counts a step and gives what its formulas take from its number and from the learning rate.
  static constexpr int64_t kScalars = 3;
  using Scalars = std::array<double, kScalars>;
  Scalars begin_step();
  /// As apply() takes them on a CPU.
  static at::Tensor as_tensor(const Scalars& scalars);
  /// One update on the parameters' device, without the host looking at anything there.
  /// \param gradients as many as parameters, each of its parameter's shape
  /// \param scalars fp32 on that device: what begin_step() gave
  /// \return whether all gradients were finite, 0-dimensional
  at::Tensor apply(const std::vector<Gradient>& gradients, const at::Tensor& scalars);

  [[nodiscard]] double learning_rate() const { return learning_rate_; }
  void set_learning_rate(double learning_rate) { learning_rate_ = learning_rate; }

  /// Steps taken.
  [[nodiscard]] int64_t iterations() const { return iterations_; }

  /// The accumulators: slots()[k][i] belongs to parameter i. With iterations() they are all the
  /// state there is.
  [[nodiscard]] const std::vector<std::vector<at::Tensor>>& slots() const { return slots_; }
  void restore(int64_t iterations, const std::vector<std::vector<at::Tensor>>& slots);

  /// How many accumulators of a parameter's size the kind keeps (0 to 2).
  static int64_t slot_count(OptimizerKind kind);

 private:
  [[nodiscard]] bool kernels_apply(const std::vector<Gradient>& gradients) const;
  bool apply_by_kernels(const std::vector<Gradient>& gradients, const float* scalars);
  void apply_by_aten(const std::vector<at::Tensor>& gradients, const at::Tensor& scalars);

  OptimizerKind kind_;
  bool by_kernels_;
  double learning_rate_;
  std::vector<at::Tensor> parameters_;
  std::vector<std::vector<at::Tensor>> slots_;
  int64_t iterations_ = 0;
};

/// Whether no tensor holds an infinity or a NaN: 0-dimensional bool on their device.
at::Tensor all_finite(const std::vector<at::Tensor>& tensors);

}  // namespace flexae
