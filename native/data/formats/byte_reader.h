#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

namespace flexae {

using Bytes = std::span<const uint8_t>;

/// Integers of either byte order; past the end they are read as absent.
class ByteReader {
 public:
  ByteReader(Bytes bytes, bool big_endian) : bytes_(bytes), big_endian_(big_endian) {}

  /// The `size` (8 at most) bytes at `offset` as a number.
  [[nodiscard]] std::optional<uint64_t> get(uint64_t offset, unsigned size) const {
    if (offset > bytes_.size() || bytes_.size() - offset < size) return std::nullopt;
    uint64_t value = 0;
    for (unsigned i = 0; i < size; ++i) {
      value = value << 8 | bytes_[offset + (big_endian_ ? i : size - 1 - i)];
    }
    return value;
  }
  [[nodiscard]] size_t size() const { return bytes_.size(); }

 private:
  Bytes bytes_;
  bool big_endian_;
};

/// Whether the bytes from `at` on begin with `text`.
inline bool starts_with(Bytes bytes, std::string_view text, size_t at = 0) {
  return bytes.size() >= at + text.size() &&
         std::memcmp(bytes.data() + at, text.data(), text.size()) == 0;
}

}  // namespace flexae
