#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

namespace flexae {

/// The points as contiguous rows; `what` names them in errors: "the embeddings". \throws Error
/// (kData) if they are not N×D of fp32 on the CPU with N, D ≥ 1, or if there are too many to number
/// in 31 bits.
at::Tensor contiguous_rows(const at::Tensor& points, const std::string& what);

/// The same, once they are known to be usable. \throws Error (kData), too, if a value is NaN or
/// infinite.
at::Tensor checked_points(const at::Tensor& points, const std::string& what);

/// Says which value of the row numbered `index` is NaN or infinite. \throws Error (kData) always.
[[noreturn]] void refuse_row(const float* row, int64_t width, int64_t index,
                             const std::string& what);

/// \throws Error (kData) if the two differ in how many values a row has.
void check_same_width(const at::Tensor& points, const at::Tensor& others,
                      const std::string& what_others);

/// \throws Error (kConfig) if `k` neighbours are less than one, or more than the points
/// `available` to be neighbours.
void check_neighbour_count(int64_t k, int64_t available);

}  // namespace flexae
