#pragma once

#include <cstdint>
#include <functional>

namespace flexae {

/// parallel_for() for bodies that multiply by at::mm. A single item would run outside of a parallel
/// region, and there the BLAS shares a product out among threads, so that what it adds up depends
/// on their number.
void parallel_products(int64_t count, const std::function<void(int64_t item, int thread)>& body);

}  // namespace flexae
