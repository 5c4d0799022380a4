#pragma once

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "core/base/error.h"

namespace flexae::test {

/// Numbers in [0, 1), the same as uniform() of make_map_expected.py gives.
inline std::vector<double> uniform(int64_t count, uint64_t salt) {
  std::vector<double> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) {
    uint64_t x = i + (salt << 40) + 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    values[i] = static_cast<double>((x ^ (x >> 31)) >> 40) * 0x1p-24;
  }
  return values;
}

/// count×width of them, each column `column + 1` times as wide as the first if `stretched`.
inline at::Tensor uniform_points(int64_t count, int64_t width, uint64_t salt,
                                 bool stretched = false) {
  const std::vector<double> values = uniform(count * width, salt);
  at::Tensor points = at::empty({count, width}, at::kFloat);
  auto* to = points.mutable_data_ptr<float>();
  for (int64_t i = 0; i < points.numel(); ++i) {
    to[i] = static_cast<float>(values[static_cast<size_t>(i)] *
                               static_cast<double>(stretched ? i % width + 1 : 1));
  }
  return points;
}

/// Points about `blobs` centres, each blob's in turn: point i belongs to blob i mod `blobs`.
inline at::Tensor blob_points(int64_t count, int64_t width, int64_t blobs, uint64_t salt) {
  const std::vector<double> centres = uniform(blobs * width, salt);
  const std::vector<double> noise = uniform(count * width * 3, salt + 1);
  at::Tensor points = at::empty({count, width}, at::kFloat);
  auto* to = points.mutable_data_ptr<float>();
  for (int64_t i = 0; i < points.numel(); ++i) {
    const int64_t centre = i / width % blobs * width + i % width;
    const double* three = noise.data() + i * 3;
    to[i] = static_cast<float>(20 * centres[static_cast<size_t>(centre)] +
                               (three[0] + three[1] + three[2]));
  }
  return points;
}

/// A seed for a test that draws at random, printed: FLEXAE_SEED, or another each time.
inline uint64_t drawn_seed() {
  const char* given = std::getenv("FLEXAE_SEED");
  const uint64_t seed = given != nullptr
                            ? std::strtoull(given, nullptr, 10)
                            : static_cast<uint64_t>(at::randint(1LL << 40, {1}).item<int64_t>() ^
                                                    reinterpret_cast<intptr_t>(&given));
  std::printf("FLEXAE_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

/// The numbers of an expected table as a tensor.
template <size_t N>
at::Tensor expected(const double (&values)[N], at::IntArrayRef shape) {
  return at::tensor(at::ArrayRef<double>(values, N), at::kDouble).view(shape);
}

/// Whether all values are the same, bit for bit.
inline bool same(const at::Tensor& a, const at::Tensor& b) {
  return a.scalar_type() == b.scalar_type() && at::equal(a, b);
}

/// What code an Error carries that `body` throws, and that its message holds `part`.
template <typename Body>
void expect_error(ErrorCode code, const std::string& part, const Body& body) {
  try {
    body();
    ADD_FAILURE() << "nothing was thrown; expected: " << part;
  } catch (const Error& error) {
    EXPECT_EQ(static_cast<int>(error.code()), static_cast<int>(code)) << error.what();
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
  }
}

/// Calls body() with one thread and with more; sets the number back.
template <typename Body>
void with_threads(const Body& body) {
  const int before = at::get_num_threads();
  for (const int threads : {1, 2, 3}) {
    SCOPED_TRACE(threads);
    at::set_num_threads(threads);
    body(threads);
  }
  at::set_num_threads(before);
}

}  // namespace flexae::test
