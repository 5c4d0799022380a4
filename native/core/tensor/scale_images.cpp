#include "core/tensor/scale_images.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "core/cpu/kernels/kernels.h"

namespace flexae {

at::Tensor to_images(const at::Tensor& bytes) {
  if (!bytes.is_cpu()) return bytes.to(at::kFloat).div_(255).permute({0, 3, 1, 2});
  constexpr int64_t kValuesAThread = 1 << 15;
  const at::Tensor source = bytes.contiguous();
  at::Tensor out = at::empty(source.sizes(), at::kFloat);
  const auto* from = source.const_data_ptr<uint8_t>();
  auto* to = out.mutable_data_ptr<float>();
  at::parallel_for(0, source.numel(), kValuesAThread, [&](int64_t begin, int64_t end) {
    kernels().images.scale_bytes(from + begin, to + begin, end - begin);
  });
  return out.permute({0, 3, 1, 2});
}

}  // namespace flexae
