#pragma once

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <cstdint>
#include <functional>
#include <numeric>

#include "core/cpu/kernels/kernels.h"

namespace flexae {

template <typename T>
inline constexpr at::ScalarType kScalarType = at::kFloat;
template <>
inline constexpr at::ScalarType kScalarType<Bf16> = at::kBFloat16;
template <>
inline constexpr at::ScalarType kScalarType<Bf16Pair> = at::kInt;

/// A contiguous tensor's values as the kernels take them.
template <typename T>
const T* values(const at::Tensor& tensor) {
  return static_cast<const T*>(tensor.const_data_ptr());
}
template <typename T>
T* mutable_values(const at::Tensor& tensor) {
  return static_cast<T*>(tensor.mutable_data_ptr());
}

/// Memory that is kept from step to step: fresh pages would cost a third of the time.
template <typename T>
class ScratchBuffer {
 public:
  /// `count` values; contents undefined.
  T* get(int64_t count) {
    if (!tensor_.defined() || tensor_.numel() < count) tensor_ = at::empty({count}, kScalarType<T>);
    return mutable_values<T>(tensor_);
  }
  /// The same, zero where nobody has written since it last grew.
  T* zeros(int64_t count) {
    if (!tensor_.defined() || tensor_.numel() < count) tensor_ = at::zeros({count}, kScalarType<T>);
    return mutable_values<T>(tensor_);
  }
  /// What get() returned last.
  [[nodiscard]] const T* data() const { return values<T>(tensor_); }
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
