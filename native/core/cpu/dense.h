#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "core/cpu/packed_weight.h"
#include "core/tensor/gradient.h"
#include "core/tensor/scratch_buffer.h"

namespace flexae {

/// The three products of a dense layer on a CPU, for batches of a few hundred at most: the weight,
/// which is by far the largest of the factors, is read once and where it lies. Factors are computed
/// with as T, fp32 or bf16; everything in memory is fp32 and contiguous. What belongs to one image
/// does not depend on the others or the number of threads.
template <typename T>
class DenseProducts : private RowwiseGradient {
 public:
  /// Whether this processor multiplies T without the BLAS.
  [[nodiscard]] static bool available();

  /// x · weightᵀ: N×O, of N×I and O×I.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& weight);
  /// Packs a weight that never changes for infer(), which has no further use for it.
  void keep(const at::Tensor& weight);
  [[nodiscard]] bool kept() const { return !weight_.empty(); }
  /// x · weightᵀ of what was kept: the batch is not packed.
  at::Tensor infer(const at::Tensor& x);
  /// dz · weight: N×I, of N×O and O×I.
  at::Tensor input_gradient(const at::Tensor& dz, const at::Tensor& weight);
  /// dzᵀ · x: O×I, of N×O and N×I. Valid until the next call.
  const RowwiseGradient& weight_gradient(const at::Tensor& dz, const at::Tensor& x);

 private:
  using Item = typename Factor<T>::Item;

  /// `tensor`'s values as T: its own if they are.
  const T* factor(const at::Tensor& tensor);
  /// The same with rows `stride` values apart, zero between them.
  const T* rows_apart(const at::Tensor& vectors, int64_t stride);
  /// The batch as channels, in whole pairs of registers whatever its size: sums are then always
  /// added up in the same order.
  void pack_batch(const at::Tensor& vectors);

  // Of the weight's gradient.
  [[nodiscard]] int64_t rows_at_once() const override;
  void take_rows(int64_t begin, int64_t end, float* out,
                 std::span<const float* const> read) const override;

  PackedWeight<T> batch_;
  PackedWeight<T> weight_;  ///< of infer()
  PackedWeight<T> inputs_;  ///< of the weight's gradient
  /// The other factor, dz: a row an output, in it a value an image.
  ScratchBuffer<T> differences_;
  int64_t images_ = 0;
  ScratchBuffer<T> factor_;
  ScratchBuffer<T> rows_;  ///< apart, of infer()
};

}  // namespace flexae
