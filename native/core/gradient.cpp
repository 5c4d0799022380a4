#include "core/gradient.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>

#include "core/rounding.h"

namespace flexae {

at::Tensor RowSource::all_rows(at::IntArrayRef sizes) const {
  at::Tensor out = at::empty(sizes, at::kFloat);
  auto* values = out.mutable_data_ptr<float>();
  const int64_t count = sizes[0];
  const int64_t block = rows_at_once();
  at::parallel_for(0, ceil_div(count, block), 1, [&](int64_t begin, int64_t end) {
    for (int64_t first = begin * block; first < std::min(end * block, count); first += block) {
      take_rows(first, std::min(first + block, count), values + first * sizes[1]);
    }
  });
  return out;
}

}  // namespace flexae
