#include "data/formats/image_header.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include "data/formats/pnm.h"

namespace flexae {
namespace {

using Bytes = std::span<const uint8_t>;

HeaderResult bad(std::string reason) {
  return {std::nullopt, std::move(reason)};
}

HeaderResult good(ImageHeader header) {
  if (header.width < 1 || header.height < 1) return bad("corrupt (its size is zero)");
  return {std::move(header), {}};
}

/// Integers of either byte order; past the end they are read as absent.
class Reader {
 public:
  Reader(Bytes bytes, bool big_endian) : bytes_(bytes), big_endian_(big_endian) {}

  [[nodiscard]] std::optional<uint64_t> get(uint64_t offset, unsigned size) const {
    if (offset > bytes_.size() || bytes_.size() - offset < size) return std::nullopt;
    uint64_t value = 0;
    for (unsigned i = 0; i < size; ++i) {
      value = value << 8 | bytes_[offset + (big_endian_ ? i : size - 1 - i)];
    }
    return value;
  }
  [[nodiscard]] size_t size() const { return bytes_.size(); }
  [[nodiscard]] bool big_endian() const { return big_endian_; }

 private:
  Bytes bytes_;
  bool big_endian_;
};

bool starts_with(Bytes bytes, std::string_view text, size_t at = 0) {
  return bytes.size() >= at + text.size() &&
         std::memcmp(bytes.data() + at, text.data(), text.size()) == 0;
}

// ---- TIFF structure, shared by TIFF files and EXIF blocks
// ----------------------------------------

/// The first directory of a TIFF structure.
class TiffDirectory {
 public:
  /// An entry's values; `values` is the offset of the first.
  struct Entry {
    uint64_t values;
    uint64_t count;
    unsigned size;
  };

  static std::optional<TiffDirectory> open(Bytes bytes) {
    if (bytes.size() < 8) return std::nullopt;
    const bool big_endian = bytes[0] == 'M';
    const Reader reader(bytes, big_endian);
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

  [[nodiscard]] bool has(uint64_t tag) const { return offset_of(tag).has_value(); }

  /// Absent as well where its values are no integers.
  [[nodiscard]] std::optional<Entry> find(uint64_t tag) const {
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

  [[nodiscard]] std::optional<uint64_t> value(const Entry& entry, uint64_t index) const {
    if (index >= entry.count || entry.values > reader_.size()) return std::nullopt;
    return reader_.get(entry.values + index * entry.size, entry.size);
  }

  [[nodiscard]] uint64_t first(uint64_t tag, uint64_t otherwise) const {
    const auto entry = find(tag);
    return entry ? value(*entry, 0).value_or(otherwise) : otherwise;
  }

  [[nodiscard]] bool big_endian() const { return reader_.big_endian(); }

 private:
  /// Where the entry of a tag begins.
  [[nodiscard]] std::optional<uint64_t> offset_of(uint64_t tag) const {
    for (uint64_t i = 0; i < count_; ++i) {
      const uint64_t at = entries_ + i * (big_ ? 20 : 12);
      if (reader_.get(at, 2) == tag) return at;
    }
    return std::nullopt;
  }

  /// Bytes of an integer type; 0 for others. Signed ones are read as unsigned: what is negative is
  /// then too large for anything.
  static unsigned size_of_type(uint64_t type) {
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

  TiffDirectory(Reader reader, bool big, uint64_t entries, uint64_t count)
      : reader_(reader), big_(big), entries_(entries), count_(count) {}

  Reader reader_;
  bool big_;
  uint64_t entries_;
  uint64_t count_;
};

int exif_orientation(Bytes block) {
  if (starts_with(block, std::string_view("Exif\0\0", 6))) block = block.subspan(6);
  if (!starts_with(block, "II") && !starts_with(block, "MM")) return 1;
  const auto directory = TiffDirectory::open(block);
  const uint64_t orientation = directory ? directory->first(0x112, 1) : 1;
  return orientation >= 1 && orientation <= 8 ? static_cast<int>(orientation) : 1;
}

// Whether every strip or tile lies inside the file.
bool tiff_is_whole(const TiffDirectory& directory, size_t file_size) {
  bool found = false;
  for (const auto& [offsets_tag, counts_tag] : {std::pair{273, 279}, std::pair{324, 325}}) {
    const auto offsets = directory.find(offsets_tag);
    if (!offsets) continue;
    found = true;
    // Some writers leave the counts of strips out.
    const auto counts = directory.find(counts_tag);
    for (uint64_t i = 0; i < offsets->count; ++i) {
      const auto offset = directory.value(*offsets, i);
      const auto count = counts ? directory.value(*counts, i) : std::optional<uint64_t>(1);
      if (!offset || !count || *offset > file_size || *count > file_size - *offset) return false;
    }
  }
  return found;
}

HeaderResult read_tiff(Bytes bytes) {
  const auto directory = TiffDirectory::open(bytes);
  if (!directory) return bad("truncated");
  ImageHeader header;
  header.format = ImageFormat::kTiff;
  // Capped so that nothing overflows; such sizes are refused by any limit on pixels.
  constexpr uint64_t kHuge = uint64_t{1} << 31;
  header.width = static_cast<int64_t>(std::min(directory->first(256, 0), kHuge));
  header.height = static_cast<int64_t>(std::min(directory->first(257, 0), kHuge));
  for (const uint64_t tag : {322, 323}) {
    if (directory->has(tag) && directory->first(tag, 0) - 1 >= kHuge / 2) {
      return bad("corrupt TIFF (tile size)");
    }
  }
  // A tile is decoded whole, however small the image in it.
  header.width = std::max(
      header.width, static_cast<int64_t>(directory->first(322, 0)) * (header.width > 0 ? 1 : 0));
  header.height = std::max(
      header.height, static_cast<int64_t>(directory->first(323, 0)) * (header.height > 0 ? 1 : 0));
  if (header.width < 1 || header.height < 1) return bad("truncated");
  if (!tiff_is_whole(*directory, bytes.size())) return bad("truncated");
  const auto extra = directory->find(338);
  if (extra && extra->size == 2 && directory->value(*extra, 0) == 2) {
    header.unassociated_alpha = extra->values + (directory->big_endian() ? 1 : 0);
  }
  return good(std::move(header));
}

// ---- PNG
// -----------------------------------------------------------------------------------------

uint32_t crc32(Bytes bytes) {
  // Eight bytes a step: this runs over every PNG read.
  static const auto kTables = [] {
    std::array<std::array<uint32_t, 256>, 8> tables{};
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t crc = i;
      for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320U : 0U);
      tables[0][i] = crc;
    }
    for (uint32_t i = 0; i < 256; ++i) {
      for (size_t t = 1; t < 8; ++t) {
        tables[t][i] = (tables[t - 1][i] >> 8) ^ tables[0][tables[t - 1][i] & 255];
      }
    }
    return tables;
  }();
  uint32_t crc = 0xffffffffU;
  const uint8_t* at = bytes.data();
  size_t left = bytes.size();
  for (; left >= 8; at += 8, left -= 8) {
    crc = kTables[7][(crc ^ at[0]) & 255] ^ kTables[6][((crc >> 8) ^ at[1]) & 255] ^
          kTables[5][((crc >> 16) ^ at[2]) & 255] ^ kTables[4][((crc >> 24) ^ at[3]) & 255] ^
          kTables[3][at[4]] ^ kTables[2][at[5]] ^ kTables[1][at[6]] ^ kTables[0][at[7]];
  }
  for (; left > 0; ++at, --left) crc = (crc >> 8) ^ kTables[0][(crc ^ *at) & 255];
  return ~crc;
}

HeaderResult read_png(Bytes bytes) {
  ImageHeader header;
  header.format = ImageFormat::kPng;
  const Reader reader(bytes, true);
  header.keep.emplace_back(0, 8);
  bool dropped = false;
  bool first = true;
  size_t at = 8;
  while (true) {
    const auto length = reader.get(at, 4);
    if (!length || bytes.size() - at < 12 || *length > bytes.size() - at - 12) {
      return bad("truncated");
    }
    const Bytes chunk = bytes.subspan(at + 4, 4 + *length);
    const size_t whole = 12 + *length;
    const bool is_header = starts_with(chunk, "IHDR");
    const bool is_end = starts_with(chunk, "IEND");
    const bool critical = (chunk[0] & 0x20) == 0;
    if (first != is_header) return bad("corrupt PNG (header out of place)");
    if (critical) {
      if (!is_header && !is_end && !starts_with(chunk, "PLTE") && !starts_with(chunk, "IDAT")) {
        return bad("not a standard PNG");
      }
      if (reader.get(at + 8 + *length, 4) != crc32(chunk)) return bad("corrupt PNG (checksum)");
      header.keep.emplace_back(at, whole);
    } else {
      // Colour profiles, text, transparency and animation change no pixel here, but libpng warns
      // about many of them on stderr.
      dropped = true;
      if (starts_with(chunk, "eXIf")) header.orientation = exif_orientation(chunk.subspan(4));
    }
    if (is_header) {
      if (*length != 13) return bad("corrupt PNG (header)");
      header.width = static_cast<int64_t>(*reader.get(at + 8, 4));
      header.height = static_cast<int64_t>(*reader.get(at + 12, 4));
      const int type = bytes[at + 17];
      header.gray = type == 0 || type == 4;
      header.components = type == 0 ? 1 : type == 4 ? 2 : type == 6 ? 4 : 3;
    }
    first = false;
    at += whole;
    if (is_end) break;
  }
  if (!dropped) header.keep.clear();
  return good(std::move(header));
}

// ---- JPEG
// ----------------------------------------------------------------------------------------

HeaderResult read_jpeg(Bytes bytes) {
  ImageHeader header;
  header.format = ImageFormat::kJpeg;
  const Reader reader(bytes, true);
  const uint8_t* const begin = bytes.data();
  const uint8_t* const end = begin + bytes.size();
  const uint8_t* at = begin + 2;
  int scans = 0;
  while (true) {
    // The next marker: 0xFF and a byte that is neither stuffing, nor fill, nor a restart. Between
    // segments this skips nothing; after a scan's header it skips the coded data.
    at = static_cast<const uint8_t*>(std::memchr(at, 0xff, static_cast<size_t>(end - at)));
    if (at == nullptr || end - at < 2) return bad("truncated");
    const int marker = at[1];
    if (marker == 0xff) {
      ++at;
      continue;
    }
    at += 2;
    if (marker == 0xd9) {
      if (header.width == 0 || scans == 0) return bad("corrupt JPEG (no pixels)");
      return good(std::move(header));
    }
    if (marker == 0 || marker == 1 || (marker >= 0xd0 && marker <= 0xd8)) continue;
    const auto offset = static_cast<size_t>(at - begin);
    const auto length = reader.get(offset, 2);
    if (!length || *length > bytes.size() - offset) return bad("truncated");
    if (*length < 2) return bad("corrupt JPEG (segment length)");
    const Bytes segment = bytes.subspan(offset + 2, *length - 2);
    const bool frame =
        marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
    if (frame && header.width == 0) {
      if (segment.size() < 6) return bad("corrupt JPEG (frame header)");
      header.height = segment[1] << 8 | segment[2];
      header.width = segment[3] << 8 | segment[4];
      header.components = segment[5];
      header.progressive = marker == 0xc2 || marker == 0xca;
      header.gray = header.components == 1;
      if (header.components != 1 && header.components != 3 && header.components != 4) {
        return bad("JPEG of " + std::to_string(header.components) + " components is not supported");
      }
      if (header.width == 0 || header.height == 0) return bad("corrupt (its size is zero)");
    } else if (marker == 0xe1 && starts_with(segment, std::string_view("Exif\0\0", 6))) {
      header.orientation = exif_orientation(segment);
    } else if (marker == 0xda) {
      // Each takes as long as a whole picture, however few bytes it has.
      constexpr int kMostScans = 500;
      if (++scans > kMostScans) return bad("corrupt JPEG (too many scans)");
    }
    at += *length;
  }
}

// ---- BMP
// -----------------------------------------------------------------------------------------

HeaderResult read_bmp(Bytes bytes) {
  ImageHeader header;
  header.format = ImageFormat::kBmp;
  const Reader reader(bytes, false);
  const auto pixels = reader.get(10, 4);
  const auto header_size = reader.get(14, 4);
  if (!pixels || !header_size) return bad("truncated");
  const bool core = *header_size == 12;
  const auto width = core ? reader.get(18, 2) : reader.get(18, 4);
  const auto height = core ? reader.get(20, 2) : reader.get(22, 4);
  const auto depth = core ? reader.get(24, 2) : reader.get(28, 2);
  const auto compression = core ? std::optional<uint64_t>(0) : reader.get(30, 4);
  if (!width || !height || !depth || !compression) return bad("truncated");
  header.width = static_cast<int32_t>(*width);
  // A negative height means rows from top to bottom.
  header.height = static_cast<int32_t>(*height);
  header.height = header.height < 0 ? -header.height : header.height;
  if (header.width < 1 || header.height < 1 || *depth > 32) return bad("corrupt BMP (header)");
  if (*compression == 0 || *compression == 3) {
    const uint64_t row = (static_cast<uint64_t>(header.width) * *depth + 31) / 32 * 4;
    const uint64_t needed = row * static_cast<uint64_t>(header.height);
    if (*pixels > bytes.size() || needed > bytes.size() - *pixels) return bad("truncated");
  }
  return good(std::move(header));
}

// ---- WebP
// ----------------------------------------------------------------------------------------

HeaderResult read_webp(Bytes bytes) {
  ImageHeader header;
  header.format = ImageFormat::kWebp;
  const Reader reader(bytes, false);
  const auto riff_size = reader.get(4, 4);
  if (!riff_size || bytes.size() < 30 || *riff_size > bytes.size() - 8) return bad("truncated");
  const size_t end = 8 + *riff_size;
  if (starts_with(bytes, "VP8 ", 12)) {
    header.width = static_cast<int64_t>(*reader.get(26, 2) & 0x3fff);
    header.height = static_cast<int64_t>(*reader.get(28, 2) & 0x3fff);
  } else if (starts_with(bytes, "VP8L", 12)) {
    const uint64_t bits = *reader.get(21, 4);
    header.width = static_cast<int64_t>(bits & 0x3fff) + 1;
    header.height = static_cast<int64_t>(bits >> 14 & 0x3fff) + 1;
  } else if (starts_with(bytes, "VP8X", 12)) {
    if ((bytes[20] & 0x02) != 0) return bad("animated WebP is not supported");
    header.width = static_cast<int64_t>(*reader.get(24, 3)) + 1;
    header.height = static_cast<int64_t>(*reader.get(27, 3)) + 1;
    for (size_t at = 12; end - at >= 8;) {
      const uint64_t length = *reader.get(at + 4, 4);
      if (length > end - at - 8) return bad("truncated");
      if (starts_with(bytes, "EXIF", at)) {
        header.orientation = exif_orientation(bytes.subspan(at + 8, length));
      }
      at = std::min<uint64_t>(at + 8 + length + (length & 1), end);
    }
  } else {
    return bad("corrupt WebP (header)");
  }
  return good(std::move(header));
}

// ---- PNM
// -----------------------------------------------------------------------------------------

HeaderResult read_pnm(Bytes bytes) {
  ImageHeader header;
  header.format = ImageFormat::kPnm;
  const int kind = bytes[1] - '0';
  PnmText text(bytes, 2);
  const bool bitmap = kind == 1 || kind == 4;
  const auto width = text.number();
  const auto height = text.number();
  const auto maximum = bitmap ? std::optional<int64_t>(1) : text.number();
  if (!width || !height || !maximum) {
    return bad(text.position() == bytes.size() ? "truncated" : "not an image");
  }
  header.width = *width;
  header.height = *height;
  header.gray = kind != 3 && kind != 6;
  if (*maximum < 1 || *maximum > 65535) return bad("corrupt PNM (maximum value)");
  if (*width < 1 || *height < 1) return bad("corrupt (its size is zero)");
  header.pnm_kind = kind;
  header.white = static_cast<int>(*maximum);

  const auto pixels = static_cast<uint64_t>(*width) * static_cast<uint64_t>(*height);
  const uint64_t samples = pixels * (header.gray ? 1 : 3);
  header.data = text.position();
  if (kind <= 3) {
    if (samples > bytes.size()) return bad("truncated");
    for (uint64_t i = 0; i < samples; ++i) {
      if (!(bitmap ? text.digit().has_value() : text.number().has_value())) return bad("truncated");
    }
  } else {
    const uint64_t needed =
        bitmap ? (static_cast<uint64_t>(*width) + 7) / 8 * static_cast<uint64_t>(*height)
               : samples * (*maximum > 255 ? 2 : 1);
    ++header.data;  // one white-space byte ends the header
    if (header.data > bytes.size() || needed > bytes.size() - header.data) return bad("truncated");
  }
  return good(std::move(header));
}

// ---- Anything else
// ----------------------------------------------------------------------------------------

// Names the images that people have besides those that are read.
std::string what_else(Bytes bytes) {
  struct Known {
    size_t at;
    std::string_view magic;
    const char* name;
  };
  static constexpr Known kKnown[] = {
      {0, "GIF8", "GIF"},         {4, "ftypavif", "AVIF"},  {4, "ftypheic", "HEIC"},
      {4, "ftypheix", "HEIC"},    {4, "ftypmif1", "HEIC"},  {0, "8BPS", "Photoshop"},
      {0, "%PDF", "PDF"},         {0, "<svg", "SVG"},       {0, "#?RADIANCE", "Radiance HDR"},
      {0, "v/1\x01", "OpenEXR"},  {4, "jP  ", "JPEG 2000"}, {4, "JXL ", "JPEG XL"},
      {0, "\xff\x0a", "JPEG XL"}, {128, "DICM", "DICOM"},
  };
  for (const auto& [at, magic, name] : kKnown) {
    if (starts_with(bytes, magic, at)) return std::string(name) + " is not supported";
  }
  return "not an image";
}

}  // namespace

const char* format_name(ImageFormat format) {
  switch (format) {
    case ImageFormat::kPng:
      return "PNG";
    case ImageFormat::kJpeg:
      return "JPEG";
    case ImageFormat::kBmp:
      return "BMP";
    case ImageFormat::kTiff:
      return "TIFF";
    case ImageFormat::kWebp:
      return "WebP";
    case ImageFormat::kPnm:
      return "PNM";
  }
  return "";
}

std::optional<ImageFormat> image_format(std::span<const uint8_t> bytes) {
  if (starts_with(bytes, "\x89PNG\r\n\x1a\n")) return ImageFormat::kPng;
  if (starts_with(bytes, "\xff\xd8\xff")) return ImageFormat::kJpeg;
  if (starts_with(bytes, "RIFF") && starts_with(bytes, "WEBP", 8)) return ImageFormat::kWebp;
  for (const std::string_view magic :
       {std::string_view("II*\0", 4), std::string_view("MM\0*", 4), std::string_view("II+\0", 4),
        std::string_view("MM\0+", 4)}) {
    if (starts_with(bytes, magic)) return ImageFormat::kTiff;
  }
  if (starts_with(bytes, "BM")) return ImageFormat::kBmp;
  if (bytes.size() > 2 && bytes[0] == 'P' && bytes[1] >= '1' && bytes[1] <= '6' &&
      std::strchr(" \t\r\n#", bytes[2]) != nullptr && bytes[2] != 0) {
    return ImageFormat::kPnm;
  }
  return std::nullopt;
}

HeaderResult read_image_header(std::span<const uint8_t> bytes) {
  if (bytes.empty()) return bad("empty file");
  const auto format = image_format(bytes);
  if (!format) return bad(what_else(bytes));
  switch (*format) {
    case ImageFormat::kPng:
      return read_png(bytes);
    case ImageFormat::kJpeg:
      return read_jpeg(bytes);
    case ImageFormat::kBmp:
      return read_bmp(bytes);
    case ImageFormat::kTiff:
      return read_tiff(bytes);
    case ImageFormat::kWebp:
      return read_webp(bytes);
    case ImageFormat::kPnm:
      return read_pnm(bytes);
  }
  return bad("not an image");
}

}  // namespace flexae
