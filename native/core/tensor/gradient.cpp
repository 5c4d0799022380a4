#include "core/tensor/gradient.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>

#include "core/base/math.h"

namespace flexae {

at::Tensor RowwiseGradient::all_rows(const at::Tensor& parameter) const {
  at::Tensor out = at::empty_like(parameter);
  auto* values = out.mutable_data_ptr<float>();
  const int64_t count = parameter.size(0);
  const int64_t columns = parameter.numel() / std::max<int64_t>(count, 1);
  const int64_t block = rows_at_once();
  at::parallel_for(0, ceil_div(count, block), 1, [&](int64_t begin, int64_t end) {
    for (int64_t first = begin * block; first < std::min(end * block, count); first += block) {
      take_rows(first, std::min(first + block, count), values + first * columns, {});
    }
  });
  return out;
}

}  // namespace flexae
