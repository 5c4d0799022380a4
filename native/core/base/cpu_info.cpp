#include "core/base/cpu_info.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

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

/// One hierarchy of control groups: where it is mounted, and this process's group in it.
struct Hierarchy {
  std::vector<std::string> mounts;
  std::string group;
  bool second_version = false;
};

// Lines of /proc/self/cgroup are number:controllers:group; version 2 has no controllers.
std::vector<Hierarchy> hierarchies(const std::string& root) {
  std::vector<Hierarchy> found;
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    if (controllers.empty()) {
      found.push_back({{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}, group, true});
      continue;
    }
    std::istringstream names(controllers);
    for (std::string name; std::getline(names, name, ',');) {
      if (name != "cpu") continue;
      found.push_back({{"/sys/fs/cgroup/" + controllers, "/sys/fs/cgroup/cpu"}, group});
    }
  }
  return found;
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
  for (const Hierarchy& hierarchy : hierarchies(root)) {
    for (const std::string& mount : hierarchy.mounts) {
      // A container may see its own group as the root while its name is told from outside: folders
      // that are not there limit nothing.
      for (std::string group = hierarchy.group;; group.resize(group.rfind('/'))) {
        const auto quota = quota_of(root + mount + group, hierarchy.second_version);
        if (quota && (!tightest || *quota < *tightest)) tightest = quota;
        if (group.find('/') == std::string::npos) break;
      }
    }
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
