#include "core/base/random.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>

#include <numeric>
#include <utility>

namespace flexae {
namespace {

constexpr uint64_t kGamma = 0x9e3779b97f4a7c15ULL;

/// SplitMix64 (Steele, Lea, Flood, 2014).
uint64_t mix(uint64_t x) {
  x += kGamma;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

}  // namespace

uint64_t random_bits(uint64_t seed, RandomPurpose purpose, uint64_t a, uint64_t b) {
  return mix(mix(mix(mix(seed) ^ static_cast<uint64_t>(purpose)) ^ a) ^ b);
}

std::vector<int64_t> random_permutation(int64_t n, uint64_t seed, RandomPurpose purpose,
                                        uint64_t a) {
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  for (uint64_t i = order.size(); i > 1; --i) {
    // The bias of a remainder is below 2^-40 for any set that fits a disk.
    const uint64_t j = random_bits(seed, purpose, a, i) % i;
    std::swap(order[i - 1], order[j]);
  }
  return order;
}

void sample_dropout(const at::Tensor& mask, double keep, uint64_t bits, int64_t first) {
  // The upper 32 bits of SplitMix64's sequence from `bits` on.
  constexpr int64_t kValuesAThread = 1 << 12;
  const auto limit = static_cast<uint64_t>(keep * 0x1p32);
  const auto kept = static_cast<float>(1.0 / keep);
  auto* values = mask.mutable_data_ptr<float>();
  at::parallel_for(0, mask.numel(), kValuesAThread, [&](int64_t begin, int64_t end) {
    uint64_t state = bits + static_cast<uint64_t>(first + begin) * kGamma;
    for (int64_t i = begin; i < end; ++i, state += kGamma) {
      values[i] = mix(state) >> 32 < limit ? kept : 0.0F;
    }
  });
}

at::Generator make_generator(at::Device device, uint64_t bits) {
  if (device.is_cpu()) return at::detail::createCPUGenerator(bits);
  at::Generator generator = at::globalContext().defaultGenerator(device).clone();
  generator.set_current_seed(bits);
  return generator;
}

}  // namespace flexae
