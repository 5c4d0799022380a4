#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace flexae {

/// Every random decision is a pure function of the seed and of where it is taken (purpose, epoch,
/// step, ...), so that nothing has to be stored to repeat or to resume a run.
enum class RandomPurpose : uint64_t { kInitializer = 1, kShuffle, kFlip, kDropout, kSample, kMix };

/// 64 well-mixed bits from the seed, the purpose and two coordinates (SplitMix64 finalizer,
/// chained).
uint64_t random_bits(uint64_t seed, RandomPurpose purpose, uint64_t a, uint64_t b = 0);

/// A permutation of 0…n−1 (Fisher–Yates), the same on every platform.
std::vector<int64_t> random_permutation(int64_t n, uint64_t seed, RandomPurpose purpose,
                                        uint64_t a);

/// Fills a contiguous fp32 tensor on the CPU with 1/keep at random places, a share `keep` of all,
/// and zeros elsewhere. `first`: where in a larger tensor it begins, of which it is a part.
void sample_dropout(const at::Tensor& mask, double keep, uint64_t bits, int64_t first = 0);

/// A generator of its own for `device`, seeded with `bits`.
at::Generator make_generator(at::Device device, uint64_t bits);

}  // namespace flexae
