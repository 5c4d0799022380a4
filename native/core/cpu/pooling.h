#pragma once

#include <cstdint>

#include "core/spec/layer_spec.h"
#include "core/spec/model_config.h"

namespace flexae {

/// 2×2 pooling with stride 2 and padding "same", one pooled row at a time: for callers that hold
/// only the two rows under it. Images are H×W×C.
class RowPooling {
 public:
  RowPooling() = default;
  /// Of images `in`, giving images `out`.
  RowPooling(Pooling kind, const Shape& in, const Shape& out) : kind_(kind), in_(in), out_(out) {}

  [[nodiscard]] Pooling kind() const { return kind_; }
  /// How many rows lie under pooled row `row`: padding "same" has none below the last.
  [[nodiscard]] int64_t rows_under(int64_t row) const;

  /// Whether pooled row `row` is means over four pixels each, of channels that fill registers: what
  /// the kernels average at once with what is done to the rows under it.
  [[nodiscard]] bool averages_whole(int64_t row) const;

  /// Pooled row `row` of the rows under it, which lie one after another. `argmax`, if not null,
  /// gets which of the four each maximum is.
  void forward(const float* lines, int64_t row, float* out, uint8_t* argmax) const;

  /// The gradient of those rows from that of the pooled row, exactly: means divide by 1, 2 or 4. T
  /// is float or Bf16.
  template <typename T>
  void backward(const T* grad, int64_t row, T* lines, const uint8_t* argmax) const;

 private:
  [[nodiscard]] int64_t columns_under(int64_t x) const;
  /// How many pixels of pooled row `row`, the first ones, have four under them.
  [[nodiscard]] int64_t whole_pixels(int64_t row) const;
  void average(const float* lines, int64_t row, float* out) const;
  void maximum(const float* lines, int64_t row, float* out, uint8_t* argmax) const;

  Pooling kind_ = Pooling::kNone;
  Shape in_;
  Shape out_;
};

}  // namespace flexae
