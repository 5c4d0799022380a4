#include "core/spec/vocabulary.h"

#include <array>
#include <utility>

#include "core/base/error.h"

namespace flexae {
namespace {

/// Where a value has several names, the first is its own.
template <typename T, size_t N>
using Names = std::array<std::pair<const char*, T>, N>;

constexpr Names<Activation, 14> kActivations{{{"linear", Activation::kLinear},
                                              {"relu", Activation::kRelu},
                                              {"elu", Activation::kElu},
                                              {"selu", Activation::kSelu},
                                              {"gelu", Activation::kGelu},
                                              {"tanh", Activation::kTanh},
                                              {"sigmoid", Activation::kSigmoid},
                                              {"hard_sigmoid", Activation::kHardSigmoid},
                                              {"softplus", Activation::kSoftplus},
                                              {"softsign", Activation::kSoftsign},
                                              {"exponential", Activation::kExponential},
                                              {"silu", Activation::kSilu},
                                              {"swish", Activation::kSilu},
                                              {"leaky_relu", Activation::kLeakyRelu}}};

constexpr Names<Initializer, 13> kInitializers{{{"zeros", Initializer::kZeros},
                                                {"ones", Initializer::kOnes},
                                                {"random_uniform", Initializer::kRandomUniform},
                                                {"random_normal", Initializer::kRandomNormal},
                                                {"truncated_normal", Initializer::kTruncatedNormal},
                                                {"glorot_uniform", Initializer::kGlorotUniform},
                                                {"glorot_normal", Initializer::kGlorotNormal},
                                                {"he_uniform", Initializer::kHeUniform},
                                                {"he_normal", Initializer::kHeNormal},
                                                {"lecun_uniform", Initializer::kLecunUniform},
                                                {"lecun_normal", Initializer::kLecunNormal},
                                                {"orthogonal", Initializer::kOrthogonal},
                                                {"identity", Initializer::kIdentity}}};

constexpr Names<Pooling, 3> kPoolings{
    {{"no", Pooling::kNone}, {"avg", Pooling::kAvg}, {"max", Pooling::kMax}}};

constexpr Names<OptimizerKind, 8> kOptimizers{{{"sgd", OptimizerKind::kSgd},
                                               {"rmsprop", OptimizerKind::kRmsprop},
                                               {"adagrad", OptimizerKind::kAdagrad},
                                               {"adadelta", OptimizerKind::kAdadelta},
                                               {"adam", OptimizerKind::kAdam},
                                               {"adamw", OptimizerKind::kAdamw},
                                               {"adamax", OptimizerKind::kAdamax},
                                               {"nadam", OptimizerKind::kNadam}}};

constexpr Names<Constraint::Kind, 5> kConstraints{
    {{"none", Constraint::Kind::kNone},
     {"non_neg", Constraint::Kind::kNonNeg},
     {"unit_norm", Constraint::Kind::kUnitNorm},
     {"max_norm", Constraint::Kind::kMaxNorm},
     {"min_max_norm", Constraint::Kind::kMinMaxNorm}}};

constexpr Names<OnNan, 2> kOnNans{{{"stop", OnNan::kStop}, {"skip", OnNan::kSkip}}};

template <typename T, size_t N>
T find(const Names<T, N>& names, const std::string& name, const char* what) {
  std::string known;
  for (const auto& [key, value] : names) {
    if (key == name) return value;
    known += (known.empty() ? "" : ", ") + std::string(key);
  }
  throw Error(ErrorCode::kConfig, "Expected " + std::string(what) + " to be one of " + known +
                                      " but received '" + name + "'");
}

template <typename T, size_t N>
const char* name_in(const Names<T, N>& names, T value) {
  for (const auto& [key, entry] : names) {
    if (entry == value) return key;
  }
  return "";
}

}  // namespace

Activation activation_from_name(const std::string& name) {
  return find(kActivations, name, "activation");
}
const char* name_of(Activation value) {
  return name_in(kActivations, value);
}

Initializer initializer_from_name(const std::string& name) {
  return find(kInitializers, name, "initializer");
}
const char* name_of(Initializer value) {
  return name_in(kInitializers, value);
}

Pooling pooling_from_name(const std::string& name) {
  return find(kPoolings, name, "pooling");
}
const char* name_of(Pooling value) {
  return name_in(kPoolings, value);
}

OptimizerKind optimizer_from_name(const std::string& name) {
  return find(kOptimizers, name, "optimizer");
}
const char* name_of(OptimizerKind value) {
  return name_in(kOptimizers, value);
}

Constraint::Kind constraint_from_name(const std::string& name) {
  return find(kConstraints, name, "constraint");
}
const char* name_of(Constraint::Kind value) {
  return name_in(kConstraints, value);
}

OnNan on_nan_from_name(const std::string& name) {
  return find(kOnNans, name, "on_nan");
}
const char* name_of(OnNan value) {
  return name_in(kOnNans, value);
}

}  // namespace flexae
