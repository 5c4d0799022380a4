#include "core/cpu/packed_weight.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <numeric>
#include <vector>

namespace flexae {
namespace {

TEST(Transpose, ExchangesRowsAndColumns) {
  constexpr int64_t rows = 37;
  constexpr int64_t columns = 21;
  std::vector<int> from(rows * columns);
  std::iota(from.begin(), from.end(), 0);
  std::vector<int> to(columns * (rows + 3), -1);
  transpose(from.data(), columns, rows, columns, to.data(), rows + 3);
  for (int64_t y = 0; y < rows; ++y) {
    for (int64_t x = 0; x < columns; ++x) {
      ASSERT_EQ(to[static_cast<size_t>(x * (rows + 3) + y)], y * columns + x);
    }
  }
  EXPECT_EQ(to[rows], -1) << "what lies between the rows is left alone";
}

/// Each value is where the loops look for it: panel by panel of two registers' channels, step by
/// step, channel by channel. `fill` puts the weight in.
template <typename T, typename Fill>
void expect_places(Fill fill) {
  const int64_t lanes = kernels().lanes;
  constexpr int64_t lines = 3;
  constexpr int64_t line = 5;
  constexpr int64_t values = Factor<T>::kValues;
  for (const int64_t channels : {int64_t{1}, lanes, 2 * lanes, 3 * lanes + 1}) {
    std::vector<T> weight;
    for (int64_t i = 0; i < channels * lines * line; ++i) {
      // Small integers, which bf16 has exactly.
      weight.push_back(static_cast<T>(static_cast<float>(i % 251 + 1)));
    }
    PackedWeight<T> packed;
    packed.reset(lines, line, channels);
    fill(packed, weight, channels, lines, line);
    const int64_t steps = (line + values - 1) / values;
    int64_t first = 0;
    const typename PackedWeight<T>::Item* item = packed.data();
    EXPECT_EQ(reinterpret_cast<uintptr_t>(item) % 64, 0)
        << "a register lies across two cache lines";
    while (first < channels) {
      const int64_t width = channels - first > lanes ? 2 * lanes : lanes;
      for (int64_t y = 0; y < lines; ++y) {
        for (int64_t step = 0; step < steps; ++step) {
          for (int64_t c = first; c < first + width; ++c, ++item) {
            const T* got = reinterpret_cast<const T*>(item);
            for (int64_t v = 0; v < values; ++v) {
              const int64_t t = step * values + v;
              const bool there = c < channels && t < line;
              const T expected =
                  there ? weight[static_cast<size_t>((c * lines + y) * line + t)] : T{};
              ASSERT_EQ(got[v], expected) << c << " " << y << " " << t;
            }
          }
        }
      }
      first += width;
    }
  }
}

template <typename T>
void expect_places_either_way() {
  expect_places<T>([](auto& packed, const auto& weight, int64_t channels, int64_t, int64_t) {
    packed.set_all(weight.data(), channels);
  });
  expect_places<T>(
      [](auto& packed, const auto& weight, int64_t channels, int64_t lines, int64_t line) {
        for (int64_t y = 0; y < lines; ++y) {
          for (int64_t t = 0; t < line; ++t) {
            std::vector<T> values;
            for (int64_t c = 0; c < channels; ++c) {
              values.push_back(weight[static_cast<size_t>((c * lines + y) * line + t)]);
            }
            packed.set(y, t, 0, values.data(), channels);
          }
        }
      });
}

TEST(PackedWeight, HasValuesWhereTheLoopsReadThem) {
  expect_places_either_way<float>();
}

TEST(PackedWeight, OfBf16HasPairsAlongALine) {
  expect_places_either_way<Bf16>();
}

}  // namespace
}  // namespace flexae
