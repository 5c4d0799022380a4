#pragma once

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cstdint>
#include <cstdlib>
#include <string>

// Points that make_expected.py makes bit for bit, and what tests of the analysis share.

namespace flexae::test {

/// In [0, 1), 24 bits: SplitMix64 at place i of the sequence of a seed.
inline double uniform_at(uint64_t seed, uint64_t i) {
  uint64_t x = (seed << 32) + (i + 1) * 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return static_cast<double>((x ^ (x >> 31)) >> 40) * 0x1p-24;
}

/// n×d points about `blobs` places in [0, 8)ᵈ, point i about place i mod blobs: sums of four
/// uniform numbers, times `spread`, plus `offset`.
inline at::Tensor made_points(int64_t n, int64_t d, int64_t blobs, double spread, uint64_t seed,
                              double offset = 0) {
  at::Tensor points = at::empty({n, d}, at::kFloat);
  auto* values = points.mutable_data_ptr<float>();
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t t = 0; t < d; ++t) {
      const double place = 8 * uniform_at(seed, static_cast<uint64_t>((i % blobs) * d + t));
      const auto at = static_cast<uint64_t>(1'000'000 + 4 * (i * d + t));
      const double noise = uniform_at(seed, at) + uniform_at(seed, at + 1) +
                           uniform_at(seed, at + 2) + uniform_at(seed, at + 3) - 2;
      values[i * d + t] = static_cast<float>(offset + place + spread * noise);
    }
  }
  return points;
}

/// FLEXAE_SEED, or `otherwise`.
inline uint64_t random_seed(uint64_t otherwise) {
  const char* given = std::getenv("FLEXAE_SEED");
  return given != nullptr ? std::stoull(given) : otherwise;
}

/// Computes with that many threads while it lives.
class WithThreads {
 public:
  explicit WithThreads(int threads) : before_(at::get_num_threads()) {
    at::set_num_threads(threads);
  }
  ~WithThreads() { at::set_num_threads(before_); }
  WithThreads(const WithThreads&) = delete;
  WithThreads& operator=(const WithThreads&) = delete;

 private:
  int before_;
};

/// The values of an array as a tensor of that shape.
template <typename T, size_t N>
at::Tensor as_tensor(const T (&values)[N], at::IntArrayRef sizes) {
  return at::tensor(at::ArrayRef<T>(values, N)).view(sizes);
}

/// The largest difference.
inline double difference(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

}  // namespace flexae::test
