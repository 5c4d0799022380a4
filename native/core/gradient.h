#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace flexae {

/// A matrix whose rows are computed when somebody takes them. The gradient of a large weight need
/// not be written to memory and read again if the optimizer takes a few rows at a time.
class RowSource {
 public:
  RowSource() = default;
  RowSource(const RowSource&) = delete;
  RowSource& operator=(const RowSource&) = delete;
  virtual ~RowSource() = default;

  /// How many rows are best taken at a time.
  [[nodiscard]] virtual int64_t rows_at_once() const = 0;
  /// Writes rows [begin, end), one behind the other. On any thread.
  virtual void take_rows(int64_t begin, int64_t end, float* out) const = 0;
  /// All rows as a tensor of `sizes`, which are two.
  [[nodiscard]] at::Tensor all_rows(at::IntArrayRef sizes) const;
};

/// The gradient of a parameter: a tensor of its shape, or where `rows` is set, what that gives,
/// until the next backward pass.
struct Gradient {
  at::Tensor tensor;
  const RowSource* rows = nullptr;

  /// As a tensor, of the parameter's `sizes`.
  [[nodiscard]] at::Tensor whole(at::IntArrayRef sizes) const {
    return rows != nullptr ? rows->all_rows(sizes) : tensor;
  }
};

}  // namespace flexae
