#include "data/formats/bmp.h"

#include "data/formats/byte_reader.h"

namespace flexae {

HeaderResult read_bmp_header(std::span<const uint8_t> bytes) {
  ImageHeader header;
  header.format = ImageFormat::kBmp;
  const ByteReader reader(bytes, false);
  const auto pixels = reader.get(10, 4);
  const auto header_size = reader.get(14, 4);
  if (!pixels || !header_size) return refuse("truncated");
  const bool core = *header_size == 12;
  const auto width = core ? reader.get(18, 2) : reader.get(18, 4);
  const auto height = core ? reader.get(20, 2) : reader.get(22, 4);
  const auto depth = core ? reader.get(24, 2) : reader.get(28, 2);
  const auto compression = core ? std::optional<uint64_t>(0) : reader.get(30, 4);
  if (!width || !height || !depth || !compression) return refuse("truncated");
  header.width = static_cast<int32_t>(*width);
  // A negative height means rows from top to bottom.
  header.height = static_cast<int32_t>(*height);
  header.height = header.height < 0 ? -header.height : header.height;
  if (header.width < 1 || header.height < 1 || *depth > 32) return refuse("corrupt BMP (header)");
  if (*compression == 0 || *compression == 3) {
    const uint64_t row = (static_cast<uint64_t>(header.width) * *depth + 31) / 32 * 4;
    const uint64_t needed = row * static_cast<uint64_t>(header.height);
    if (*pixels > bytes.size() || needed > bytes.size() - *pixels) return refuse("truncated");
  }
  return accept(std::move(header));
}

}  // namespace flexae
