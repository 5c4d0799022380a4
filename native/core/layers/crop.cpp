#include "core/layers/crop.h"

#include <ATen/ATen.h>

namespace flexae {
namespace {}  // namespace

at::Tensor crop(const at::Tensor& x, int64_t h, int64_t w) {
  if (x.size(2) == h && x.size(3) == w) return x;
  return x.slice(2, 0, h).slice(3, 0, w).contiguous(at::MemoryFormat::ChannelsLast);
}

at::Tensor uncrop(const at::Tensor& grad, int64_t h, int64_t w) {
  if (grad.size(2) == h && grad.size(3) == w) return grad;
  return at::constant_pad_nd(grad, {0, w - grad.size(3), 0, h - grad.size(2)})
      .contiguous(at::MemoryFormat::ChannelsLast);
}

}  // namespace flexae
