#pragma once

#include <string>

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
  kUndefined,  ///< No setting: whatever is in the memory, of a model whose weights are given.
};

enum class Pooling { kNone, kAvg, kMax };

enum class OptimizerKind { kSgd, kRmsprop, kAdagrad, kAdadelta, kAdam, kAdamw, kAdamax, kNadam };

/// What a loss or gradient that is not finite does: end the training, or take it back to the last
/// good point with half the learning rate.
enum class OnNan { kStop, kSkip };

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

/// Names as Keras spells them. Each throws Error(kConfig) for an unknown name.
Activation activation_from_name(const std::string& name);
Initializer initializer_from_name(const std::string& name);
Pooling pooling_from_name(const std::string& name);
OptimizerKind optimizer_from_name(const std::string& name);
Constraint::Kind constraint_from_name(const std::string& name);
OnNan on_nan_from_name(const std::string& name);

/// And back.
const char* name_of(Activation value);
const char* name_of(Initializer value);
const char* name_of(Pooling value);
const char* name_of(OptimizerKind value);
const char* name_of(Constraint::Kind value);
const char* name_of(OnNan value);

}  // namespace flexae
