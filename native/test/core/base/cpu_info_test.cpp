#include "core/base/cpu_info.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "../temporary_folder.h"

namespace flexae {
namespace {

/// A system of files: /proc and /sys as a process sees them.
class CpuQuota : public ::testing::Test {
 protected:
  void write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = root_ + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  std::optional<double> quota() { return cpu_quota(root_); }

 private:
  TemporaryFolder folder_;
  const std::string root_ = folder_.path("root");
};

TEST_F(CpuQuota, IsTheTightestOfTheGroupsAbove) {
  EXPECT_EQ(quota(), std::nullopt);
  write("/proc/self/cgroup", "0::/jobs/night\n");
  EXPECT_EQ(quota(), std::nullopt);
  write("/sys/fs/cgroup/jobs/night/cpu.max", "max 100000\n");
  EXPECT_EQ(quota(), std::nullopt);
  write("/sys/fs/cgroup/jobs/cpu.max", "250000 100000\n");
  EXPECT_EQ(quota(), 2.5);
  write("/sys/fs/cgroup/jobs/night/cpu.max", "50000 100000\n");
  EXPECT_EQ(quota(), 0.5);
  write("/sys/fs/cgroup/cpu.max", "20000 100000\n");
  EXPECT_EQ(quota(), 0.2);
}

TEST_F(CpuQuota, KnowsTheFirstVersion) {
  write("/proc/self/cgroup", "5:cpu,cpuacct:/docker/0123\n4:cpuset:/docker/0123\n0::/\n");
  // A container's own view: its group is the root.
  write("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
  write("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota(), std::nullopt);
  write("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "150000\n");
  EXPECT_EQ(quota(), 1.5);
  write("/sys/fs/cgroup/cpu,cpuacct/docker/0123/cpu.cfs_quota_us", "30000\n");
  write("/sys/fs/cgroup/cpu,cpuacct/docker/0123/cpu.cfs_period_us", "50000\n");
  EXPECT_EQ(quota(), 0.6);
}

TEST_F(CpuQuota, NonsenseLimitsNothing) {
  write("/proc/self/cgroup", "nothing\n7\n::\n0::\n1:cpu:/../../x\n");
  write("/sys/fs/cgroup/cpu.max", "0 0\n");
  write("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "many\n");
  EXPECT_EQ(quota(), std::nullopt);
}

TEST(AvailableCores, FollowsTheAffinity) {
  EXPECT_GE(available_cores(), 1);
  const auto tell = [] {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<size_t>(::sched_getcpu()), &set);
    if (::sched_setaffinity(0, sizeof set, &set) != 0) std::exit(2);
    std::fprintf(stderr, "%d cores\n", available_cores());
    std::exit(0);
  };
  EXPECT_EXIT(tell(), testing::ExitedWithCode(0), "^1 cores\n");
}

}  // namespace
}  // namespace flexae
