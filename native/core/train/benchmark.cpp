#include "core/train/benchmark.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/Event.h>
#include <c10/core/GradMode.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <chrono>
#include <numeric>
#include <utility>

#include "core/base/allocator.h"
#include "core/base/cpu_info.h"
#include "core/base/error.h"
#include "core/cpu/kernels/kernels.h"
#include "core/device/device.h"
#include "core/tensor/scale_images.h"
#include "core/train/synthetic.h"
#include "core/train/trainer.h"

namespace flexae {
namespace {

/// So many different batches that no step finds the last one's images in a cache near the core.
constexpr int64_t kBatches = 4;

const TrainerConfig& prepared(const TrainerConfig& config) {
  validate(config);
  (void)kernels();
  keep_freed_memory();
  return config;
}

}  // namespace

Benchmark::Benchmark(const TrainerConfig& config, at::Tensor images)
    : config_(prepared(config)),
      threads_(config.threads > 0 ? static_cast<int>(config.threads) : available_cores()),
      step_(config_, resolve_device(config.device)) {
  const c10::NoGradGuard no_grad;
  at::set_num_threads(threads_);
  const ModelConfig& model = config_.model;
  const int64_t batch = config_.batch_size;
  if (!images.defined()) {
    images =
        synthetic_images(kBatches * batch, model.height, model.width, model.channels, config_.seed);
  }
  const std::vector<int64_t> shape{images.size(0), model.height, model.width, model.channels};
  if (images.scalar_type() != at::kByte || images.sizes() != shape || images.size(0) < batch) {
    throw Error(ErrorCode::kConfig, "Expected at least " + std::to_string(batch) +
                                        " images of bytes in the network's shape");
  }
  images_ = images.contiguous().to(step_.device());
  indices_.resize(static_cast<size_t>(batch));
}

at::Tensor Benchmark::next_batch() {
  const int64_t batch = config_.batch_size;
  if (at_ + batch > images_.size(0)) at_ = 0;
  std::iota(indices_.begin(), indices_.end(), at_);
  at::Tensor bytes = images_.narrow(0, at_, batch);
  at_ += batch;
  return bytes;
}

std::vector<double> Benchmark::time(int64_t count, const std::function<void()>& run) const {
  const c10::NoGradGuard no_grad;
  at::set_num_threads(threads_);
  std::vector<double> milliseconds;
  milliseconds.reserve(static_cast<size_t>(count));
  if (device().is_cpu()) {
    using Clock = std::chrono::steady_clock;
    for (int64_t i = 0; i < count; ++i) {
      const auto begin = Clock::now();
      run();
      milliseconds.push_back(
          std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
    }
    return milliseconds;
  }
  // Waiting after each step would leave the device idle while the next one is being sent; events
  // tell the time without.
  const c10::impl::VirtualGuardImpl guard(device().type());
  const c10::Stream stream = guard.getStream(device());
  std::vector<c10::Event> events;
  const auto mark = [&] {
    events.emplace_back(device().type(), c10::EventFlag::BACKEND_DEFAULT);
    events.back().record(stream);
  };
  guard.synchronizeDevice(device().index());
  mark();
  for (int64_t i = 0; i < count; ++i) {
    run();
    mark();
  }
  guard.synchronizeDevice(device().index());
  for (size_t i = 1; i < events.size(); ++i) {
    milliseconds.push_back(events[i - 1].elapsedTime(events[i]));
  }
  return milliseconds;
}

std::vector<double> Benchmark::train(int64_t steps) {
  step_.metrics().reset();
  return time(steps, [this] {
    const at::Tensor bytes = next_batch();
    ++steps_;
    step_.train(bytes, indices_, /*epoch=*/1, steps_);
  });
}

std::vector<double> Benchmark::encode(int64_t batches) {
  return time(batches, [this] { step_.model().encode(to_images(next_batch())); });
}

}  // namespace flexae
