#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace flexae {

/// Labels by which points are divided, with numbers from 0 on in the order of their values.
struct DenseLabels {
  std::vector<int32_t> labels;  ///< of each point
  std::vector<int64_t> counts;  ///< of the points of each label
};

/// Reads N labels of any integer type. Throws Error(kData) if they are not N integers in memory;
/// `name` says what they are.
DenseLabels read_labels(const at::Tensor& labels, const char* name, int64_t count);

}  // namespace flexae
