#pragma once

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <cstdint>
#include <functional>
#include <numeric>

namespace flexae {

/// fp32 memory that is kept from step to step: fresh pages would cost a third of the time.
class FloatBuffer {
 public:
  /// `count` values; contents undefined.
  float* get(int64_t count) {
    if (!tensor_.defined() || tensor_.numel() < count) tensor_ = at::empty({count}, at::kFloat);
    return tensor_.mutable_data_ptr<float>();
  }
  /// The same, zero where nobody has written since it last grew.
  float* zeros(int64_t count) {
    if (!tensor_.defined() || tensor_.numel() < count) tensor_ = at::zeros({count}, at::kFloat);
    return tensor_.mutable_data_ptr<float>();
  }
  at::Tensor view(at::IntArrayRef sizes) {
    const int64_t count =
        std::accumulate(sizes.begin(), sizes.end(), int64_t{1}, std::multiplies<>());
    get(count);
    return tensor_.narrow(0, 0, count).view(sizes);
  }

 private:
  at::Tensor tensor_;
};

}  // namespace flexae
