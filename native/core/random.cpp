#include "core/random.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>

#include <numeric>
#include <utility>

namespace flexae {
namespace {

/// SplitMix64 (Steele, Lea, Flood, 2014).
uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
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

at::Generator make_generator(at::Device device, uint64_t bits) {
  if (device.is_cpu()) return at::detail::createCPUGenerator(bits);
  at::Generator generator = at::globalContext().defaultGenerator(device).clone();
  generator.set_current_seed(bits);
  return generator;
}

}  // namespace flexae
