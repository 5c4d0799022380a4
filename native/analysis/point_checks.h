#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

namespace flexae {

/// The points as contiguous rows, once they are known to be usable. \param what names them in
/// errors: "the embeddings". \throws Error (kData) if they are not N×D of fp32 on the CPU with
/// N, D ≥ 1, if there are too many to number in 31 bits, or if a value is NaN or infinite.
at::Tensor checked_points(const at::Tensor& points, const std::string& what);

/// \throws Error (kData) if the two differ in how many values a row has.
void check_same_width(const at::Tensor& points, const at::Tensor& others,
                      const std::string& what_others);

/// \throws Error (kConfig) if `k` neighbours are less than one, or more than there are.
/// \param available  points that can be neighbours.
void check_neighbour_count(int64_t k, int64_t available);

}  // namespace flexae
