#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace flexae {

/// What lies at an address, to be hashed.
[[nodiscard]] inline std::span<const uint8_t> bytes_of(const void* data, size_t size) {
  return {static_cast<const uint8_t*>(data), size};
}

/// XXH64 of the bytes: a fast 64-bit checksum that other tools compute too. It tells damage, not
/// malice.
[[nodiscard]] uint64_t xxh64(std::span<const uint8_t> bytes, uint64_t seed = 0);

}  // namespace flexae
