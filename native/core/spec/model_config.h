#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace flexae {

/// Keras's activations. Formulas: keras.activations of Keras 3.
enum class Activation {
  kLinear,
  kRelu,
  kElu,
  kSelu,
  kGelu,
  kTanh,
  kSigmoid,
  kHardSigmoid,
  kSoftplus,
  kSoftsign,
  kExponential,
  kSilu,
  kLeakyRelu,
};

/// Keras's initializers with their default arguments.
enum class Initializer {
  kZeros,
  kOnes,
  kRandomUniform,
  kRandomNormal,
  kTruncatedNormal,
  kGlorotUniform,
  kGlorotNormal,
  kHeUniform,
  kHeNormal,
  kLecunUniform,
  kLecunNormal,
  kOrthogonal,
  kIdentity,
};

enum class Pooling { kNone, kAvg, kMax };

enum class OptimizerKind { kSgd, kRmsprop, kAdagrad, kAdadelta, kAdam, kAdamw, kAdamax, kNadam };

/// Keras's L1L2 regularizer: l1·Σ|w| + l2·Σw².
struct Regularizer {
  double l1 = 0.0;
  double l2 = 0.0;
  [[nodiscard]] bool active() const { return l1 != 0.0 || l2 != 0.0; }
};

/// Keras's weight constraints, along Keras's axis 0.
struct Constraint {
  enum class Kind { kNone, kNonNeg, kUnitNorm, kMaxNorm, kMinMaxNorm };
  Kind kind = Kind::kNone;
  double min_value = 0.0;
  double max_value = 1.0;
  double rate = 1.0;
};

/// The network. The four lists of the convolutions have one length.
struct ModelConfig {
  int64_t height = 256;
  int64_t width = 256;
  int64_t channels = 1;
  std::vector<int64_t> filters{32, 64, 128, 256};
  std::vector<Pooling> pooling{Pooling::kAvg, Pooling::kAvg, Pooling::kNone, Pooling::kNone};
  std::vector<int64_t> kernel_size{5, 5, 3, 3};
  std::vector<int64_t> strides{2, 2, 2, 2};
  Activation activation = Activation::kElu;
  Activation last_activation = Activation::kSelu;
  double drop_rate = 0.5;
  std::vector<int64_t> dims{1000};
  bool mlp = true;
  bool use_bias = true;
  Initializer kernel_initializer = Initializer::kGlorotUniform;
  Initializer bias_initializer = Initializer::kZeros;
  Regularizer kernel_regularizer;
  Regularizer bias_regularizer;
  Regularizer activity_regularizer;
  Constraint kernel_constraint;
  Constraint bias_constraint;
  Initializer cnn_kernel_initializer = Initializer::kGlorotUniform;
  Initializer cnn_bias_initializer = Initializer::kZeros;
  Regularizer cnn_kernel_regularizer;
  double batch_norm_momentum = 0.99;
  double batch_norm_epsilon = 1e-3;
};

/// Checks ranges and lengths. Throws Error(kConfig) naming the value and what was expected.
void validate(const ModelConfig& config);

/// Names as Keras spells them. Each throws Error(kConfig) for an unknown name.
Activation activation_from_name(const std::string& name);
Initializer initializer_from_name(const std::string& name);
Pooling pooling_from_name(const std::string& name);
OptimizerKind optimizer_from_name(const std::string& name);
Constraint::Kind constraint_from_name(const std::string& name);

}  // namespace flexae
