#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace flexae {

/// Images to train on where only the speed matters: soft spots and hard-edged discs on a gradient,
/// with a little noise, so that a network has something to learn.
/// \return uint8 n×height×width×channels on the CPU, a function of the seed alone.
at::Tensor synthetic_images(int64_t n, int64_t height, int64_t width, int64_t channels,
                            uint64_t seed);

}  // namespace flexae
