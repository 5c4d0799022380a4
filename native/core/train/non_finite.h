#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

namespace flexae {

/// A batch whose loss or one of whose gradients was infinite or no number.
struct NonFinite {
  int64_t batch;
  bool gradient;  ///< The loss itself was finite.
};

/// Notes the first such batch on the device, without the host looking at anything.
class NonFiniteWatch {
 public:
  explicit NonFiniteWatch(at::Device device);

  /// All 0-dimensional, on the device.
  /// \param loss infinite or no number where the batch's loss is
  /// \param finite_gradients bool
  /// \param batch its number from 1 on, fp64
  void note(const at::Tensor& loss, const at::Tensor& finite_gradients, const at::Tensor& batch);

  /// The first since construction or reset(). Waits for the device.
  [[nodiscard]] std::optional<NonFinite> found() const;
  void reset();

 private:
  /// fp64: 0 while all is well; then twice the batch's number, plus 1 if its loss was finite.
  at::Tensor first_;
};

}  // namespace flexae
