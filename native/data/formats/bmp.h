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

/// The header of a BMP; see read_image_header().
[[nodiscard]] HeaderResult read_bmp_header(std::span<const uint8_t> bytes);

/// Decodes a BMP to `pixels`, BGR of 8 bits. The size that its header claims is one to be taken.
///
/// Headers of Windows (40 to 124 bytes) and OS/2 (12 to 64); palettes of 1, 2, 4 and 8 bits, runs
/// of 4 and 8 bits; 16, 24 and 32 bits, by masks or without; rows from either end. Alpha is
/// dropped. Samples of 5 and 6 bits in the usual order become the upper bits of a byte, as with
/// OpenCV; those of other masks are scaled so that their maximum becomes 255. What runs leave out
/// has the palette's first colour.
///
/// Returns why the image cannot be used, or nothing on success.
[[nodiscard]] std::optional<std::string> decode_bmp(std::span<const uint8_t> bytes,
                                                    cv::Mat& pixels);

}  // namespace flexae
