#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

namespace flexae {

/// The gradient of a parameter, computed when somebody takes it: it need not be written to memory
/// and read again if the optimizer takes a few rows at a time. A row is what belongs to one index
/// of the first dimension, which is the outermost one in memory, in the parameter's order.
class RowwiseGradient {
 public:
  RowwiseGradient() = default;
  RowwiseGradient(const RowwiseGradient&) = delete;
  RowwiseGradient& operator=(const RowwiseGradient&) = delete;
  virtual ~RowwiseGradient() = default;

  /// How many rows are best taken at a time.
  [[nodiscard]] virtual int64_t rows_at_once() const = 0;
  /// Writes rows [begin, end), one behind the other. Meanwhile it may fetch the same rows of `read`
  /// into the cache: matrices like the parameter, given from row `begin` on, that the caller is
  /// about to read. On any thread.
  virtual void take_rows(int64_t begin, int64_t end, float* out,
                         std::span<const float* const> read) const = 0;
  /// All rows, as a tensor like `parameter`.
  [[nodiscard]] at::Tensor all_rows(const at::Tensor& parameter) const;
};

/// The gradient of a parameter: a tensor of its shape, or where `rows` is set, what that gives,
/// until the next backward pass.
struct Gradient {
  at::Tensor tensor;
  const RowwiseGradient* rows = nullptr;

  /// As a tensor.
  [[nodiscard]] at::Tensor whole(const at::Tensor& parameter) const {
    return rows != nullptr ? rows->all_rows(parameter) : tensor;
  }
};

}  // namespace flexae
