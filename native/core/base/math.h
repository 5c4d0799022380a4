#pragma once

#include <cstdint>

namespace flexae {

/// a / b, rounded up. Of positive numbers.
constexpr int64_t ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

/// The least multiple of `step` that is not less than `value`.
constexpr int64_t round_up(int64_t value, int64_t step) {
  return ceil_div(value, step) * step;
}

}  // namespace flexae
