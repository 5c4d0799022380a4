#pragma once

#include <cstdint>

namespace flexae {

/// The bits of a bf16, which are the upper half of an fp32's.
enum class Bf16 : uint16_t {};
/// Two of them, the first in the lower half: the processor multiplies and adds up pairs.
enum class Bf16Pair : uint32_t {};

inline float widened(float value) {
  return value;
}
inline float widened(Bf16 value) {
  const uint32_t bits = static_cast<uint32_t>(value) << 16;
  float wide;
  __builtin_memcpy(&wide, &bits, sizeof wide);
  return wide;
}

/// What a product of values stored as T takes in one step.
template <typename T>
struct Factor;
/// A value.
template <>
struct Factor<float> {
  using Item = float;
  static constexpr int64_t kValues = 1;
};
/// Two values, multiplied and added up by one instruction.
template <>
struct Factor<Bf16> {
  using Item = Bf16Pair;
  static constexpr int64_t kValues = 2;
};

}  // namespace flexae
