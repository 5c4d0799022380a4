#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "data/formats/image_header.h"

namespace cv {
class Mat;
}

namespace flexae {

/// The header of a JPEG; see read_image_header().
[[nodiscard]] HeaderResult read_jpeg_header(std::span<const uint8_t> bytes);

/// Decodes a JPEG of one, three or four components to `pixels`, 8 bits deep: gray levels with
/// `gray` or where the file has no others, else BGR. `reduction` (1, 2, 4 or 8) divides its size,
/// rounding up. EXIF orientation is left to the caller.
///
/// OpenCV's own reader is not used for JPEG, because through it libjpeg writes to stderr, and says
/// of spoilt pixels that they are fine.
///
/// Returns why the image cannot be used, or nothing on success.
[[nodiscard]] std::optional<std::string> decode_jpeg(std::span<const uint8_t> bytes, bool gray,
                                                     int reduction, cv::Mat& pixels);

}  // namespace flexae
