#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/files/bytes.h"

namespace flexae {

/// CRC-32C (Castagnoli) of `data`, continuing from `crc`.
uint32_t crc32c(std::string_view data, uint32_t crc = 0);

/// The same without the processor's own instruction, as where there is none.
uint32_t crc32c_by_tables(std::string_view data, uint32_t crc = 0);

/// The same of bytes [begin, end), which are read in pieces.
uint32_t crc32c(const Bytes& bytes, uint64_t begin, uint64_t end, uint32_t crc = 0);

/// A checksum as files hold it: eight hexadecimal digits.
std::string crc32c_text(uint32_t crc);

}  // namespace flexae
