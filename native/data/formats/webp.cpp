#include "data/formats/webp.h"

#include <opencv2/core.hpp>

#include <webp/decode.h>

namespace flexae {

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
