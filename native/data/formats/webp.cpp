#include "data/formats/webp.h"

#include <algorithm>

#include <opencv2/core.hpp>

#include <webp/decode.h>

#include "data/formats/byte_reader.h"
#include "data/formats/orientation.h"

namespace flexae {

HeaderResult read_webp_header(std::span<const uint8_t> bytes) {
  ImageHeader header;
  header.format = ImageFormat::kWebp;
  const ByteReader reader(bytes, false);
  const auto riff_size = reader.get(4, 4);
  if (!riff_size || bytes.size() < 30 || *riff_size > bytes.size() - 8) return refuse("truncated");
  const size_t end = 8 + *riff_size;
  if (starts_with(bytes, "VP8 ", 12)) {
    header.width = static_cast<int64_t>(*reader.get(26, 2) & 0x3fff);
    header.height = static_cast<int64_t>(*reader.get(28, 2) & 0x3fff);
  } else if (starts_with(bytes, "VP8L", 12)) {
    const uint64_t bits = *reader.get(21, 4);
    header.width = static_cast<int64_t>(bits & 0x3fff) + 1;
    header.height = static_cast<int64_t>(bits >> 14 & 0x3fff) + 1;
  } else if (starts_with(bytes, "VP8X", 12)) {
    if ((bytes[20] & 0x02) != 0) return refuse("animated WebP is not supported");
    header.width = static_cast<int64_t>(*reader.get(24, 3)) + 1;
    header.height = static_cast<int64_t>(*reader.get(27, 3)) + 1;
    for (size_t at = 12; end - at >= 8;) {
      const uint64_t length = *reader.get(at + 4, 4);
      if (length > end - at - 8) return refuse("truncated");
      if (starts_with(bytes, "EXIF", at)) {
        header.orientation = exif_orientation(bytes.subspan(at + 8, length));
      }
      at = std::min<uint64_t>(at + 8 + length + (length & 1), end);
    }
  } else {
    return refuse("corrupt WebP (header)");
  }
  return accept(std::move(header));
}

std::optional<std::string> decode_webp(std::span<const uint8_t> bytes, cv::Mat& pixels) {
  int width = 0;
  int height = 0;
  if (WebPGetInfo(bytes.data(), bytes.size(), &width, &height) == 0) return "corrupt WebP";
  pixels.create(height, width, CV_8UC3);
  const uint8_t* decoded =
      WebPDecodeBGRInto(bytes.data(), bytes.size(), pixels.data, pixels.total() * pixels.elemSize(),
                        static_cast<int>(pixels.step[0]));
  if (decoded == nullptr) return "corrupt WebP";
  return std::nullopt;
}

}  // namespace flexae
