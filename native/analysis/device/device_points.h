#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <functional>
#include <vector>

namespace flexae {

/// Numbers that an operation makes in a device's memory at a time: 64 MB of fp32. Enough to keep a
/// GPU busy, and little beside its memory.
constexpr int64_t kDeviceNumbers = int64_t{1} << 24;

/// Calls `work(first, count)` for blocks of rows, each of which makes `numbers` numbers.
void for_row_blocks(int64_t rows, int64_t numbers,
                    const std::function<void(int64_t first, int64_t count)>& work);

/// Numbers in host memory as a tensor on `device`.
at::Tensor to_device(const std::vector<float>& values, at::IntArrayRef sizes, at::Device device);

/// A tensor of a device in host memory. Waits for the device.
template <typename T>
std::vector<T> to_host(const at::Tensor& tensor) {
  const at::Tensor here = tensor.cpu().contiguous();
  const T* values = here.const_data_ptr<T>();
  return {values, values + here.numel()};
}

/// Points in a device's memory, about a place between them, so that
/// products with centres lose little.
class DevicePoints {
 public:
  /// `shift`: D numbers that are subtracted from each point, or none.
  DevicePoints(const at::Tensor& points, const std::vector<float>& shift, at::Device device);

  [[nodiscard]] const at::Tensor& values() const { return values_; }  ///< N×D of fp32
  [[nodiscard]] at::Device device() const { return values_.device(); }
  [[nodiscard]] int64_t count() const { return values_.size(0); }
  [[nodiscard]] int64_t width() const { return values_.size(1); }

  /// Centres k×D, as values() has points.
  [[nodiscard]] at::Tensor centres(const std::vector<float>& centres) const;

  /// The nearest of `centres`, k×D as centres() gives them, of each point, the first of several.
  /// \return N of int64
  [[nodiscard]] at::Tensor nearest(const at::Tensor& centres) const;

  /// Squared distances to the centres `labels` (N of int64), from differences. \return N of fp32
  [[nodiscard]] at::Tensor squared_distances(const at::Tensor& centres,
                                             const at::Tensor& labels) const;

  /// As find_nearest() of nearest_centres.h, into host memory.
  void find_nearest(const float* centres, int64_t count, int32_t* labels,
                    float* squared_distances) const;

 private:
  at::Tensor values_;
  at::Tensor shift_;  ///< undefined where nothing is subtracted
};

}  // namespace flexae
