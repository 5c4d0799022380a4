#pragma once

#include <ATen/record_function.h>

#include <string>
#include <string_view>

namespace flexae {

/// A stretch of a training step under a name of its own in a profile, as long as the object lives:
/// "forward encoder.conv_0". Nothing but a check without a profiler.
class ProfileScope {
 public:
  /// What tells such names from those of operations.
  static constexpr std::string_view kForward = "forward ";
  static constexpr std::string_view kBackward = "backward ";
  static constexpr std::string_view kStep = "step ";

  ProfileScope(std::string_view group, std::string_view name)
      : record_(at::RecordScope::USER_SCOPE) {
    if (record_.isActive()) record_.before(std::string(group) + std::string(name));
  }

  static bool is_one(std::string_view name) {
    return name.starts_with(kForward) || name.starts_with(kBackward) || name.starts_with(kStep);
  }

 private:
  at::RecordFunction record_;
};

}  // namespace flexae
