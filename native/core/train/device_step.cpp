#include "core/train/device_step.h"

#include <ATen/ATen.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "core/base/error.h"
#include "core/cuda/runtime.h"
#include "core/tensor/scale_images.h"
#include "core/train/augment.h"

namespace flexae {
namespace {

/// Whole batches sent one by one before recording: cuDNN tries its algorithms out in the first, and
/// libraries allocate what they keep.
constexpr int64_t kWarmUp = 2;

// Where things lie in the inputs.
constexpr int64_t kBatch = Optimizer::kScalars;
constexpr int64_t kFlips = kBatch + 1;

/// Work sent to `next` from now on waits for what `first` has been sent.
void follow(const c10::Stream& first, const c10::Stream& next) {
  c10::Event sent(first.device_type());
  sent.record(first);
  sent.block(next);
}

}  // namespace

DeviceStep::DeviceStep(const TrainerConfig& config, Autoencoder& model, Optimizer& optimizer,
                       Metrics& metrics, StepRecipe& recipe, Record record)
    : config_(config),
      model_(model),
      optimizer_(optimizer),
      metrics_(metrics),
      recipe_(recipe),
      device_(model.device()),
      record_(std::move(record)) {
  const ModelConfig& m = config.model;
  const auto options = at::TensorOptions().device(device_);
  bytes_ = at::zeros({config.batch_size, m.height, m.width, m.channels}, options.dtype(at::kByte));
  inputs_ = at::zeros({kFlips + 2 * config.batch_size}, options.dtype(at::kDouble));
  // The default stream cannot be recorded.
  if (!device_.is_cpu()) {
    if (!cuda::problem().empty()) {
      warning_ = "Training on " + device_.str() +
                 " goes by libtorch's operations alone, which is slower: " + cuda::problem() + ".";
    }
    stream_ = c10::impl::VirtualGuardImpl(device_.type()).getStreamFromGlobalPool(device_);
  }
}

void DeviceStep::train(const at::Tensor& bytes, const std::vector<int64_t>& indices, int64_t epoch,
                       int64_t batch, const Share& share) {
  if (!stream_) return step(bytes, indices, epoch, batch, share);
  const c10::Stream outside = c10::impl::VirtualGuardImpl(device_.type()).getStream(device_);
  const c10::StreamGuard guard(*stream_);
  follow(outside, *stream_);
  step(bytes, indices, epoch, batch, share);
  follow(*stream_, outside);
}

void DeviceStep::step(const at::Tensor& bytes, const std::vector<int64_t>& indices, int64_t epoch,
                      int64_t batch, const Share& share) {
  const int64_t images = bytes.size(0);
  prepare(bytes, indices, epoch, batch, share);
  if (images == config_.batch_size && recorded()) {
    graph_->replay();
  } else {
    compute(images);
  }
  const ModelConfig& m = config_.model;
  metrics_.count(share.whole, share.whole * m.height * m.width * m.channels);
}

void DeviceStep::prepare(const at::Tensor& bytes, const std::vector<int64_t>& indices,
                         int64_t epoch, int64_t batch, const Share& share) {
  const int64_t images = bytes.size(0);
  const int64_t most = config_.batch_size;
  if (images > most) throw Error(ErrorCode::kInternal, "a batch is larger than batch_size");
  bytes_.narrow(0, 0, images).copy_(bytes, /*non_blocking=*/true);
  model_.sample(share, config_.seed, step_number(epoch, batch));

  // Pinned memory that is let go of stays its allocator's until the copy is done.
  const at::Tensor host =
      at::empty(inputs_.sizes(), inputs_.options().device(at::kCPU).pinned_memory(!!stream_));
  auto* values = host.mutable_data_ptr<double>();
  std::fill_n(values, host.numel(), 0.0);
  const auto scalars = optimizer_.begin_step();
  std::copy(scalars.begin(), scalars.end(), values);
  values[kBatch] = static_cast<double>(batch);
  const Flips flips =
      sample_flips(indices, config_.seed, epoch, config_.horizontal_flip, config_.vertical_flip);
  std::copy(flips.horizontal.begin(), flips.horizontal.end(), values + kFlips);
  std::copy(flips.vertical.begin(), flips.vertical.end(), values + kFlips + most);
  inputs_.copy_(host, /*non_blocking=*/true);
}

void DeviceStep::compute(int64_t images) {
  const at::Tensor flips =
      inputs_.narrow(0, kFlips, 2 * config_.batch_size).view({2, config_.batch_size}).ne(0);
  const auto asked = [&](bool wanted, int64_t row) {
    return wanted ? flips[row].narrow(0, 0, images) : at::Tensor();
  };
  const at::Tensor x =
      to_images(flip(bytes_.narrow(0, 0, images), asked(config_.horizontal_flip, 0),
                     asked(config_.vertical_flip, 1)));
  recipe_.train({x, x},
                {inputs_.narrow(0, 0, Optimizer::kScalars).to(at::kFloat), inputs_[kBatch]});
}

/// Whether there is a graph of compute() for a whole batch. Tries once to record it.
bool DeviceStep::recorded() {
  if (graph_ != nullptr || !record_ || whole_batches_++ < kWarmUp) return graph_ != nullptr;
  const Record record = std::exchange(record_, nullptr);
  try {
    graph_ = record(device_, [this] { compute(config_.batch_size); });
  } catch (const std::exception& error) {
    const std::string_view reason = error.what();
    if (!warning_.empty()) warning_ += "\n";
    warning_ +=
        "Training steps are sent to " + device_.str() +
        " operation by operation, which is slower: they could not be recorded as a graph (" +
        std::string(reason.substr(0, reason.find('\n'))) + ").";
  }
  return graph_ != nullptr;
}

std::string DeviceStep::take_warning() {
  return std::exchange(warning_, {});
}

}  // namespace flexae
