#pragma once

#include <cstdint>
#include <span>

namespace flexae {

/// XXH64 of the bytes: a fast 64-bit checksum that other tools compute too. It tells damage, not
/// malice.
[[nodiscard]] uint64_t xxh64(std::span<const uint8_t> bytes, uint64_t seed = 0);

}  // namespace flexae
