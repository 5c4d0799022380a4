#include "core/spec/model_config.h"

#include <cmath>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/base/json.h"

namespace flexae {
namespace {

void require(bool ok, const std::string& message) {
  if (!ok) throw Error(ErrorCode::kConfig, message);
}

[[noreturn]] void refuse(const Setting& setting, const Json& received) {
  throw Error(ErrorCode::kConfig, std::string("Expected ") + setting.expected + " for " +
                                      setting.name + " but received " + received.dump());
}

/// Whether a number is one that a penalty or a constraint can have.
bool is_factor(double value) {
  return std::isfinite(value) && value >= 0;
}

/// Compares a member with what its setting allows. Whatever is not here has no bounds: its type or
/// its name says all.
class Check {
 public:
  explicit Check(size_t layers) : layers_(layers) {}

  void operator()(const Setting& setting, int64_t value) const {
    if (!setting.allows(static_cast<double>(value))) refuse(setting, value);
  }

  void operator()(const Setting& setting, double value) const {
    if (!setting.allows(value)) refuse(setting, value);
  }

  template <typename T>
  void operator()(const Setting& setting, const std::vector<T>& values) const {
    if (setting.per_layer) {
      require(values.size() == layers_,
              "Expected pooling, kernel_size and strides to have as many entries as filters");
    }
    require(!values.empty() && values.size() <= setting.most_entries,
            std::string("Expected ") + setting.expected + " for " + setting.name +
                " but received a list of " + std::to_string(values.size()));
    if constexpr (std::is_same_v<T, int64_t>) {
      for (const int64_t value : values) (*this)(setting, value);
    }
  }

  void operator()(const Setting& setting, const Regularizer& value) const {
    require(
        is_factor(value.l1) && is_factor(value.l2),
        std::string("Expected the factors of ") + setting.name + " to be finite and not negative");
  }

  void operator()(const Setting& setting, const Constraint& value) const {
    using Kind = Constraint::Kind;
    const bool has_most = value.kind == Kind::kMaxNorm || value.kind == Kind::kMinMaxNorm;
    bool ok = !has_most || (is_factor(value.max_value) && value.max_value > 0);
    if (value.kind == Kind::kMinMaxNorm) {
      ok = ok && is_factor(value.min_value) && value.min_value <= value.max_value &&
           is_factor(value.rate) && value.rate <= 1;
    }
    require(ok, std::string("Expected 0 ≤ min ≤ max, max above 0 and a rate from 0 to 1 for ") +
                    setting.name);
  }

  template <typename T>
  void operator()(const Setting& /*setting*/, const T& /*value*/) const {}

 private:
  size_t layers_;
};

bool is_two_dimensional(Initializer initializer) {
  return initializer == Initializer::kOrthogonal || initializer == Initializer::kIdentity;
}

}  // namespace

void validate(const ModelConfig& c) {
  const Check check(c.filters.size());
  for_each_model_setting(c, [&](const Setting& setting, const auto& value) {
    // Without dense layers their widths mean nothing, and earlier versions took any.
    if (!c.mlp && setting.key == std::string_view("dims")) return;
    check(setting, value);
  });
  require(!is_two_dimensional(c.bias_initializer) || !c.use_bias,
          "bias_initializer cannot be orthogonal or identity: a bias has one dimension");
  require(!is_two_dimensional(c.cnn_bias_initializer),
          "cnn_bias_initializer cannot be orthogonal or identity: a bias has one dimension");
  require(c.cnn_kernel_initializer != Initializer::kIdentity,
          "cnn_kernel_initializer cannot be identity: it needs two-dimensional weights");
}

void validate(const TrainingSettings& settings) {
  for_each_training_setting(settings, Check(0));
}

}  // namespace flexae
