#include "core/spec/model_config.h"

#include <array>
#include <cmath>
#include <string_view>
#include <utility>

#include "core/base/error.h"

namespace flexae {
namespace {

template <typename T, size_t N>
T lookup(const std::array<std::pair<std::string_view, T>, N>& names, const std::string& name,
         const char* what) {
  std::string known;
  for (const auto& [key, value] : names) {
    if (key == name) return value;
    known += (known.empty() ? "" : ", ") + std::string(key);
  }
  throw Error(ErrorCode::kConfig, "Expected " + std::string(what) + " to be one of " + known +
                                      " but received '" + name + "'");
}

void require(bool ok, const std::string& message) {
  if (!ok) throw Error(ErrorCode::kConfig, message);
}

void require_positive(const std::vector<int64_t>& values, const char* name, int64_t limit) {
  for (const int64_t value : values) {
    require(value >= 1 && value <= limit, std::string("Expected every entry of ") + name +
                                              " to be between 1 and " + std::to_string(limit) +
                                              " but received " + std::to_string(value));
  }
}

void require_factors(const Regularizer& regularizer, const char* name) {
  require(std::isfinite(regularizer.l1) && regularizer.l1 >= 0 && std::isfinite(regularizer.l2) &&
              regularizer.l2 >= 0,
          std::string("Expected the factors of ") + name + " to be finite and not negative");
}

// Generous bounds that keep every product of sizes below inside int64.
constexpr int64_t kMaxSide = 1 << 16;
constexpr int64_t kMaxWidth = 1 << 20;
constexpr int64_t kMaxKernel = 255;
constexpr size_t kMaxLayers = 64;

}  // namespace

void validate(const ModelConfig& c) {
  require(c.height >= 8 && c.height <= kMaxSide && c.width >= 8 && c.width <= kMaxSide,
          "Expected both sizes of imageShape to be between 8 and " + std::to_string(kMaxSide) +
              " but received [" + std::to_string(c.height) + ", " + std::to_string(c.width) + "]");
  require(c.channels == 1 || c.channels == 3,
          "Expected channels to be 1 or 3 but received " + std::to_string(c.channels));
  require(!c.filters.empty() && c.filters.size() <= kMaxLayers,
          "Expected filters to have between 1 and " + std::to_string(kMaxLayers) + " entries");
  const size_t layers = c.filters.size();
  require(
      c.pooling.size() == layers && c.kernel_size.size() == layers && c.strides.size() == layers,
      "Expected pooling, kernel_size and strides to have as many entries as filters");
  require_positive(c.filters, "filters", kMaxWidth);
  require_positive(c.kernel_size, "kernel_size", kMaxKernel);
  require_positive(c.strides, "strides", kMaxKernel);
  if (c.mlp) {
    require(!c.dims.empty() && c.dims.size() <= kMaxLayers,
            "Expected dims to have between 1 and " + std::to_string(kMaxLayers) + " entries");
    require_positive(c.dims, "dims", kMaxWidth);
  }
  require(c.drop_rate >= 0 && c.drop_rate < 1,
          "Expected dropRate to be in [0, 1) but received " + std::to_string(c.drop_rate));
  require(c.batch_norm_momentum >= 0 && c.batch_norm_momentum <= 1,
          "Expected batch_norm_momentum to be in [0, 1]");
  require(c.batch_norm_epsilon > 0 && std::isfinite(c.batch_norm_epsilon),
          "Expected batch_norm_epsilon to be positive");
  require(!(c.bias_initializer == Initializer::kOrthogonal ||
            c.bias_initializer == Initializer::kIdentity) ||
              !c.use_bias,
          "bias_initializer cannot be orthogonal or identity: a bias has one dimension");
  require(c.cnn_bias_initializer != Initializer::kOrthogonal &&
              c.cnn_bias_initializer != Initializer::kIdentity,
          "cnn_bias_initializer cannot be orthogonal or identity: a bias has one dimension");
  require(c.cnn_kernel_initializer != Initializer::kIdentity,
          "cnn_kernel_initializer cannot be identity: it needs two-dimensional weights");
  require_factors(c.kernel_regularizer, "kernel_regularizer");
  require_factors(c.bias_regularizer, "bias_regularizer");
  require_factors(c.activity_regularizer, "activity_regularizer");
  require_factors(c.cnn_kernel_regularizer, "cnn_kernel_regularizer");
}

Activation activation_from_name(const std::string& name) {
  using enum Activation;
  static constexpr std::array<std::pair<std::string_view, Activation>, 14> names{
      {{"linear", kLinear},
       {"relu", kRelu},
       {"elu", kElu},
       {"selu", kSelu},
       {"gelu", kGelu},
       {"tanh", kTanh},
       {"sigmoid", kSigmoid},
       {"hard_sigmoid", kHardSigmoid},
       {"softplus", kSoftplus},
       {"softsign", kSoftsign},
       {"exponential", kExponential},
       {"silu", kSilu},
       {"swish", kSilu},
       {"leaky_relu", kLeakyRelu}}};
  return lookup(names, name, "activation");
}

Initializer initializer_from_name(const std::string& name) {
  using enum Initializer;
  static constexpr std::array<std::pair<std::string_view, Initializer>, 13> names{
      {{"zeros", kZeros},
       {"ones", kOnes},
       {"random_uniform", kRandomUniform},
       {"random_normal", kRandomNormal},
       {"truncated_normal", kTruncatedNormal},
       {"glorot_uniform", kGlorotUniform},
       {"glorot_normal", kGlorotNormal},
       {"he_uniform", kHeUniform},
       {"he_normal", kHeNormal},
       {"lecun_uniform", kLecunUniform},
       {"lecun_normal", kLecunNormal},
       {"orthogonal", kOrthogonal},
       {"identity", kIdentity}}};
  return lookup(names, name, "initializer");
}

Pooling pooling_from_name(const std::string& name) {
  using enum Pooling;
  static constexpr std::array<std::pair<std::string_view, Pooling>, 3> names{
      {{"no", kNone}, {"avg", kAvg}, {"max", kMax}}};
  return lookup(names, name, "pooling");
}

OptimizerKind optimizer_from_name(const std::string& name) {
  using enum OptimizerKind;
  static constexpr std::array<std::pair<std::string_view, OptimizerKind>, 8> names{
      {{"sgd", kSgd},
       {"rmsprop", kRmsprop},
       {"adagrad", kAdagrad},
       {"adadelta", kAdadelta},
       {"adam", kAdam},
       {"adamw", kAdamw},
       {"adamax", kAdamax},
       {"nadam", kNadam}}};
  return lookup(names, name, "optimizer");
}

Constraint::Kind constraint_from_name(const std::string& name) {
  using enum Constraint::Kind;
  static constexpr std::array<std::pair<std::string_view, Constraint::Kind>, 5> names{
      {{"none", kNone},
       {"non_neg", kNonNeg},
       {"unit_norm", kUnitNorm},
       {"max_norm", kMaxNorm},
       {"min_max_norm", kMinMaxNorm}}};
  return lookup(names, name, "constraint");
}

}  // namespace flexae
