#pragma once

#include <cstdint>
#include <string_view>

namespace flexae {

/// CRC-32C (Castagnoli) of `data`, continuing from `crc`.
uint32_t crc32c(std::string_view data, uint32_t crc = 0);

}  // namespace flexae
