#include "core/base/cpu_info.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <thread>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "core/base/control_groups.h"

namespace flexae {
namespace {

CpuFeatures detect() {
  CpuFeatures features;
#if defined(__x86_64__)
  features.avx2 = __builtin_cpu_supports("avx2") != 0;
  features.avx512 = __builtin_cpu_supports("avx512f") != 0;
  features.avx512_bf16 = __builtin_cpu_supports("avx512bf16") != 0;
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  // Intel SDM, CPUID leaf 7: EDX bit 22.
  features.amx_bf16 = __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && ((d >> 22) & 1) != 0;
#endif
  return features;
}

// The limit of one group, from "quota period" in microseconds; "max" and -1 stand for none.
std::optional<double> quota_of(const std::string& folder, bool second_version) {
  double quota = -1;
  double period = -1;
  if (second_version) {
    std::ifstream(folder + "/cpu.max") >> quota >> period;
  } else {
    std::ifstream(folder + "/cpu.cfs_quota_us") >> quota;
    std::ifstream(folder + "/cpu.cfs_period_us") >> period;
  }
  if (!(quota > 0) || !(period > 0)) return std::nullopt;
  return quota / period;
}

}  // namespace

std::optional<double> cpu_quota(const std::string& root) {
  std::optional<double> tightest;
  for (const ControlGroup& group : control_groups("cpu", root)) {
    const auto quota = quota_of(group.folder, group.second_version);
    if (quota && (!tightest || *quota < *tightest)) tightest = quota;
  }
  return tightest;
}

const CpuFeatures& cpu_features() {
  static const CpuFeatures features = detect();
  return features;
}

int available_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  const int cores = ::sched_getaffinity(0, sizeof set, &set) == 0
                        ? CPU_COUNT(&set)
                        : static_cast<int>(std::thread::hardware_concurrency());
  // A little more than a core is worth a second thread.
  const double quota = std::ceil(cpu_quota().value_or(cores));
  return std::max(1, quota < cores ? static_cast<int>(quota) : cores);
}

}  // namespace flexae
