#pragma once

#include <optional>
#include <string>

namespace flexae {

/// Instructions this processor has.
struct CpuFeatures {
  bool avx2 = false;
  bool avx512 = false;
  bool avx512_bf16 = false;
  bool amx_bf16 = false;
};

const CpuFeatures& cpu_features();

/// Hardware threads this process may use: those of its affinity, but no more than the CPU time that
/// its control groups allow, rounded up. At least 1.
int available_cores();

/// The CPU time that the control groups of this process allow, in cores, if they limit it; the
/// tightest of the group's own limit and of those above it. Knows versions 1 and 2. `root` stands
/// before /proc and /sys, for tests.
std::optional<double> cpu_quota(const std::string& root = "");

}  // namespace flexae
