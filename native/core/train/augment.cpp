#include "core/train/augment.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>

#include "core/base/random.h"
#include "core/cpu/kernels/kernels.h"

namespace flexae {
namespace {

bool asked(const std::vector<bool>& flags, int64_t n) {
  return !flags.empty() && flags[static_cast<size_t>(n)];
}

/// Turns over the chosen images; `dim` 1 is vertical, 2 horizontal.
at::Tensor flip_some(const at::Tensor& bytes, const at::Tensor& chosen, int64_t dim) {
  if (!chosen.defined()) return bytes;
  return at::where(chosen.view({-1, 1, 1, 1}), bytes.flip({dim}), bytes);
}

}  // namespace

Flips sample_flips(const std::vector<int64_t>& indices, uint64_t seed, int64_t epoch,
                   bool horizontal, bool vertical) {
  Flips flips;
  for (const int64_t index : indices) {
    const uint64_t bits = random_bits(seed, RandomPurpose::kFlip, static_cast<uint64_t>(epoch),
                                      static_cast<uint64_t>(index));
    if (horizontal) flips.horizontal.push_back((bits & 1) != 0);
    if (vertical) flips.vertical.push_back((bits & 2) != 0);
  }
  return flips;
}

at::Tensor flip(const at::Tensor& bytes, const Flips& flips) {
  if (flips.horizontal.empty() && flips.vertical.empty()) return bytes;
  const at::Tensor source = bytes.contiguous();
  at::Tensor out = at::empty_like(source);
  const int64_t h = source.size(1);
  const int64_t w = source.size(2);
  const int64_t c = source.size(3);
  const int64_t line = w * c;
  const auto* from = source.const_data_ptr<uint8_t>();
  auto* to = out.mutable_data_ptr<uint8_t>();
  at::parallel_for(0, source.size(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      for (int64_t y = 0; y < h; ++y) {
        const uint8_t* row = from + (n * h + (asked(flips.vertical, n) ? h - 1 - y : y)) * line;
        uint8_t* turned = to + (n * h + y) * line;
        if (asked(flips.horizontal, n)) {
          kernels().images.reverse_pixels(row, turned, w, c);
        } else {
          std::copy_n(row, line, turned);
        }
      }
    }
  });
  return out;
}

at::Tensor flip(const at::Tensor& bytes, const at::Tensor& horizontal, const at::Tensor& vertical) {
  return flip_some(flip_some(bytes, horizontal, 2), vertical, 1);
}

}  // namespace flexae
