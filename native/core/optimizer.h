#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/config.h"

namespace flexae {

/// Keras 3's optimizers with its default hyper-parameters (keras.optimizers; Adadelta's learning
/// rate is the caller's, ρ = 0.95, ε = 1e-7). Works on fp32 tensors of one device, in place.
class Optimizer {
 public:
  /// `parameters` are updated by step(); they share storage with the model's.
  Optimizer(OptimizerKind kind, double learning_rate, std::vector<at::Tensor> parameters);

  /// One update from as many gradients as parameters, each of its parameter's shape.
  void step(const std::vector<at::Tensor>& gradients);

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
  bool step_by_kernels(const std::vector<at::Tensor>& gradients);

  OptimizerKind kind_;
  double learning_rate_;
  std::vector<at::Tensor> parameters_;
  std::vector<std::vector<at::Tensor>> slots_;
  int64_t iterations_ = 0;
};

}  // namespace flexae
