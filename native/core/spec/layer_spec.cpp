#include "core/spec/layer_spec.h"

#include <algorithm>

#include "core/base/math.h"

namespace flexae {

int64_t WeightSpec::numel() const {
  int64_t values = 1;
  for (const int64_t size : sizes) values *= size;
  return values;
}

int64_t LayerSpec::parameters() const {
  int64_t values = 0;
  for (const WeightSpec& weight : kind->weights(*this)) values += weight.numel();
  return values;
}

std::array<int64_t, 2> same_padding(int64_t size, int64_t kernel, int64_t stride) {
  const int64_t total = std::max<int64_t>((ceil_div(size, stride) - 1) * stride + kernel - size, 0);
  return {total / 2, total - total / 2};
}

int64_t same_transpose_crop(int64_t kernel, int64_t stride) {
  return std::max<int64_t>(kernel - stride, 0) / 2;
}

}  // namespace flexae
