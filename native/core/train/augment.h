#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace flexae {

/// Which images of a batch to flip.
struct Flips {
  std::vector<bool> horizontal;  ///< Left to right; empty for none.
  std::vector<bool> vertical;    ///< Top to bottom; empty for none.
};

/// Samples the flips of the images with these indices in this epoch: a function of the seed.
Flips sample_flips(const std::vector<int64_t>& indices, uint64_t seed, int64_t epoch,
                   bool horizontal, bool vertical);

/// Bytes N×H×W×C on the CPU, flipped as asked: `bytes` themselves where nothing is.
at::Tensor flip(const at::Tensor& bytes, const Flips& flips);

/// The same by ATen's operators, with flips that are on the bytes' device: N bools each, undefined
/// for none.
at::Tensor flip(const at::Tensor& bytes, const at::Tensor& horizontal, const at::Tensor& vertical);

}  // namespace flexae
