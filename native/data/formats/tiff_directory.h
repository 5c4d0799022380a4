#pragma once

#include <cstdint>
#include <optional>

#include "data/formats/byte_reader.h"

namespace flexae {

/// The first directory of a TIFF structure, which TIFF files (classic and big) and EXIF blocks are.
class TiffDirectory {
 public:
  /// An entry's values; `values` is the offset of the first.
  struct Entry {
    uint64_t values;
    uint64_t count;
    unsigned size;
  };

  /// Absent where the directory does not lie within the bytes.
  static std::optional<TiffDirectory> open(Bytes bytes);

  [[nodiscard]] bool has(uint64_t tag) const { return offset_of(tag).has_value(); }
  /// Absent as well where its values are no integers.
  [[nodiscard]] std::optional<Entry> find(uint64_t tag) const;
  [[nodiscard]] std::optional<uint64_t> value(const Entry& entry, uint64_t index) const;
  /// The first value of a tag.
  [[nodiscard]] uint64_t first(uint64_t tag, uint64_t otherwise) const;

 private:
  TiffDirectory(ByteReader reader, bool big, uint64_t entries, uint64_t count)
      : reader_(reader), big_(big), entries_(entries), count_(count) {}

  /// Where the entry of a tag begins.
  [[nodiscard]] std::optional<uint64_t> offset_of(uint64_t tag) const;

  ByteReader reader_;
  bool big_;
  uint64_t entries_;
  uint64_t count_;
};

}  // namespace flexae
