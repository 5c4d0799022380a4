#include "data/formats/tiff_directory.h"

namespace flexae {
namespace {

/// Bytes of an integer type; 0 for others. Signed ones are read as unsigned: what is negative is
/// then too large for anything.
unsigned size_of_type(uint64_t type) {
  switch (type) {
    case 1:  // BYTE
    case 6:  // SBYTE
      return 1;
    case 3:  // SHORT
    case 8:  // SSHORT
      return 2;
    case 4:   // LONG
    case 9:   // SLONG
    case 13:  // IFD
      return 4;
    case 16:  // LONG8
    case 17:  // SLONG8
    case 18:  // IFD8
      return 8;
    default:
      return 0;
  }
}

}  // namespace

std::optional<TiffDirectory> TiffDirectory::open(Bytes bytes) {
  if (bytes.size() < 8) return std::nullopt;
  const ByteReader reader(bytes, bytes[0] == 'M');
  const auto magic = reader.get(2, 2);
  const bool big = magic == 43;
  const auto start = big ? reader.get(8, 8) : reader.get(4, 4);
  if (!start) return std::nullopt;
  const auto count = reader.get(*start, big ? 8 : 2);
  if (!count || *count > 65535) return std::nullopt;
  const uint64_t entries = *start + (big ? 8 : 2);
  if (entries + *count * (big ? 20 : 12) > bytes.size()) return std::nullopt;
  return TiffDirectory(reader, big, entries, *count);
}

std::optional<TiffDirectory::Entry> TiffDirectory::find(uint64_t tag) const {
  const auto entry = offset_of(tag);
  if (!entry) return std::nullopt;
  const uint64_t at = *entry;
  const auto type = reader_.get(at + 2, 2);
  const auto count = reader_.get(at + 4, big_ ? 8 : 4);
  if (!type || !count) return std::nullopt;
  const unsigned size = size_of_type(*type);
  if (size == 0 || *count == 0 || *count > reader_.size()) return std::nullopt;
  const unsigned inline_bytes = big_ ? 8 : 4;
  uint64_t values = at + (big_ ? 12 : 8);
  if (*count * size > inline_bytes) {
    const auto offset = reader_.get(values, inline_bytes);
    if (!offset) return std::nullopt;
    values = *offset;
  }
  return Entry{values, *count, size};
}

std::optional<uint64_t> TiffDirectory::value(const Entry& entry, uint64_t index) const {
  if (index >= entry.count || entry.values > reader_.size()) return std::nullopt;
  return reader_.get(entry.values + index * entry.size, entry.size);
}

uint64_t TiffDirectory::first(uint64_t tag, uint64_t otherwise) const {
  const auto entry = find(tag);
  return entry ? value(*entry, 0).value_or(otherwise) : otherwise;
}

std::optional<uint64_t> TiffDirectory::offset_of(uint64_t tag) const {
  for (uint64_t i = 0; i < count_; ++i) {
    const uint64_t at = entries_ + i * (big_ ? 20 : 12);
    if (reader_.get(at, 2) == tag) return at;
  }
  return std::nullopt;
}

}  // namespace flexae
