#include "core/train/gradient_reducer.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>

#include "core/base/math.h"

namespace flexae {
namespace {

/// Values of a bucket: enough that a sum's latency does not count, few enough that the last one,
/// for which the optimizer waits, is small.
constexpr int64_t kBucket = int64_t{1} << 20;

}  // namespace

GradientReducer::GradientReducer(Communicator& communicator, int64_t values, at::Device device)
    : communicator_(communicator),
      all_(at::zeros({values}, at::TensorOptions().dtype(at::kFloat).device(device))) {}

void GradientReducer::begin() {
  under_way_.clear();
  filled_ = 0;
  sent_ = 0;
}

void GradientReducer::add(std::vector<Parameter>& parameters) {
  for (Parameter& p : parameters) {
    // The loss does not depend on it, in no process.
    if (p.grad.rows == nullptr && !p.grad.tensor.defined()) continue;
    const at::Tensor part =
        all_.narrow(0, filled_, p.value.numel()).as_strided(p.value.sizes(), p.value.strides());
    if (p.grad.rows != nullptr) {
      gather_rows(p.grad, p.value, part);
    } else {
      part.copy_(p.grad.tensor);
      advance(p.value.numel());
    }
    p.grad = {part, nullptr};
  }
}

void GradientReducer::gather_rows(const Gradient& gradient, const at::Tensor& parameter,
                                  const at::Tensor& to) {
  const int64_t rows = parameter.size(0);
  const int64_t columns = parameter.numel() / std::max<int64_t>(rows, 1);
  const int64_t block = gradient.rows->rows_at_once();
  const int64_t blocks_at_once =
      std::max<int64_t>(kBucket / std::max<int64_t>(block * columns, 1), at::get_num_threads());
  auto* values = to.mutable_data_ptr<float>();
  for (int64_t first = 0; first < rows;) {
    const int64_t last = std::min(first + blocks_at_once * block, rows);
    at::parallel_for(0, ceil_div(last - first, block), 1, [&](int64_t begin, int64_t end) {
      for (int64_t row = first + begin * block; row < std::min(first + end * block, last);
           row += block) {
        gradient.rows->take_rows(row, std::min(row + block, last), values + row * columns, {});
      }
    });
    advance((last - first) * columns);
    first = last;
  }
}

void GradientReducer::advance(int64_t values) {
  filled_ += values;
  if (filled_ - sent_ >= kBucket) send(filled_);
}

void GradientReducer::send(int64_t end) {
  if (end == sent_) return;
  under_way_.push_back(
      communicator_.start_sum(all_.narrow(0, sent_, end - sent_), Communicator::Lane::kBulk));
  sent_ = end;
}

void GradientReducer::finish() {
  send(filled_);
  for (; !under_way_.empty(); under_way_.pop_front()) under_way_.front()->wait();
}

}  // namespace flexae
