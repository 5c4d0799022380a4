#include "train/profile.h"

#include <ATen/DeviceAccelerator.h>
#include <torch/csrc/autograd/profiler_kineto.h>

#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/base/profile_scope.h"
#include "train/text.h"

namespace flexae::bench {
namespace {

/// The entries of a profile that took longest together.
void print_top(const char* title, const std::map<std::string, std::pair<double, int64_t>>& times,
               int64_t steps) {
  constexpr size_t kTop = 20;
  std::vector<std::pair<std::string, std::pair<double, int64_t>>> rows(times.begin(), times.end());
  std::sort(rows.begin(), rows.end(),
            [](const auto& a, const auto& b) { return a.second.first > b.second.first; });
  double total = 0;
  for (const auto& row : rows) total += row.second.first;
  std::cout << '\n' << title << formatted(": %.3f ms a step\n", total / 1e6 / double(steps));
  for (size_t i = 0; i < std::min(kTop, rows.size()); ++i) {
    const auto& [name, entry] = rows[i];
    std::cout << formatted("%8.3f ms ", entry.first / 1e6 / static_cast<double>(steps))
              << formatted("%5.1f %%", 100 * entry.first / total)
              << formatted(" %6.1f x  ", static_cast<double>(entry.second) / double(steps))
              << name.substr(0, 110) << '\n';
  }
}

}  // namespace

void wait_for(at::Device device) {
  if (!device.is_cpu()) at::accelerator::synchronizeDevice(device.index());
}

void profile(Benchmark& bench, const Settings& settings) {
  namespace prof = torch::autograd::profiler;
  using Activity = torch::profiler::impl::ActivityType;
  if (settings.warmup > 0) (void)bench.train(settings.warmup);
  const torch::profiler::impl::ProfilerConfig config(torch::profiler::impl::ProfilerState::KINETO);
  std::set<Activity> activities{Activity::CPU};
  if (!bench.device().is_cpu()) activities.insert(Activity::CUDA);
  prof::prepareProfiler(config, activities);
  prof::enableProfiler(config, activities);
  (void)bench.train(settings.steps);
  wait_for(bench.device());
  const std::unique_ptr<prof::ProfilerResult> result = prof::disableProfiler();
  result->save(settings.profile);
  std::map<std::string, std::pair<double, int64_t>> layers;
  std::map<std::string, std::pair<double, int64_t>> kernels;
  for (const prof::KinetoEvent& event : result->events()) {
    if (event.deviceType() != bench.device().type()) continue;
    const std::string name = event.name();
    auto& [time, count] = (ProfileScope::is_one(name) ? layers : kernels)[name];
    time += static_cast<double>(event.durationNs());
    ++count;
  }
  if (!layers.empty()) print_top("By layer", layers, settings.steps);
  print_top(bench.device().is_cpu() ? "By operation, with what it calls" : "By kernel", kernels,
            settings.steps);
  std::cout << "\nwrote " << settings.profile << '\n';
}

}  // namespace flexae::bench
