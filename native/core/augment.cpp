#include "core/augment.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>

#include "core/kernels/kernels.h"
#include "core/random.h"

namespace flexae {
namespace {

bool asked(const std::vector<bool>& flags, int64_t n) {
  return !flags.empty() && flags[static_cast<size_t>(n)];
}

at::Tensor on_cpu(const at::Tensor& bytes, const Flips& flips) {
  const at::Tensor source = bytes.contiguous();
  at::Tensor out = at::empty(source.sizes(), at::kFloat);
  const int64_t h = source.size(1);
  const int64_t w = source.size(2);
  const int64_t c = source.size(3);
  const auto* from = source.const_data_ptr<uint8_t>();
  auto* to = out.mutable_data_ptr<float>();
  at::parallel_for(0, source.size(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      for (int64_t y = 0; y < h; ++y) {
        const int64_t from_y = asked(flips.vertical, n) ? h - 1 - y : y;
        kernels().scale_bytes(from + (n * h + from_y) * w * c, to + (n * h + y) * w * c, w, c,
                              asked(flips.horizontal, n));
      }
    }
  });
  return out.permute({0, 3, 1, 2});
}

at::Tensor as_tensor(const std::vector<bool>& flags, at::Device device) {
  if (flags.empty()) return {};
  at::Tensor tensor = at::empty({static_cast<int64_t>(flags.size())}, at::kBool);
  std::copy(flags.begin(), flags.end(), tensor.mutable_data_ptr<bool>());
  return tensor.to(device);
}

/// Turns over the chosen images; `dim` 1 is vertical, 2 horizontal.
at::Tensor flip_some(const at::Tensor& bytes, const at::Tensor& chosen, int64_t dim) {
  if (!chosen.defined()) return bytes;
  return at::where(chosen.view({-1, 1, 1, 1}), bytes.flip({dim}), bytes);
}

}  // namespace

Flips draw_flips(const std::vector<int64_t>& indices, uint64_t seed, int64_t epoch, bool horizontal,
                 bool vertical) {
  Flips flips;
  for (const int64_t index : indices) {
    const uint64_t bits = random_bits(seed, RandomPurpose::kFlip, static_cast<uint64_t>(epoch),
                                      static_cast<uint64_t>(index));
    if (horizontal) flips.horizontal.push_back((bits & 1) != 0);
    if (vertical) flips.vertical.push_back((bits & 2) != 0);
  }
  return flips;
}

at::Tensor to_images(const at::Tensor& bytes, const Flips& flips) {
  if (bytes.is_cpu()) return on_cpu(bytes, flips);
  return to_images(bytes, as_tensor(flips.horizontal, bytes.device()),
                   as_tensor(flips.vertical, bytes.device()));
}

at::Tensor to_images(const at::Tensor& bytes, const at::Tensor& horizontal,
                     const at::Tensor& vertical) {
  const at::Tensor turned = flip_some(flip_some(bytes, horizontal, 2), vertical, 1);
  return turned.to(at::kFloat).div_(255).permute({0, 3, 1, 2});
}

}  // namespace flexae
