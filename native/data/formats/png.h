#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace cv {
class Mat;
}

namespace flexae {

/// Decodes a PNG to `pixels`, 8 bits deep and without alpha: gray levels where the file has no
/// colours, else BGR. Samples of 16 bits keep their high byte. The checksums of the chunks are
/// taken to be right: read_image_header() has seen to them.
///
/// OpenCV's own reader is not used for PNG, because through it libpng writes to stderr.
///
/// Returns why the image cannot be used, or nothing on success.
[[nodiscard]] std::optional<std::string> decode_png(std::span<const uint8_t> bytes,
                                                    cv::Mat& pixels);

}  // namespace flexae
