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

/// The header of a PNG; see read_image_header(). All its checksums are looked at.
[[nodiscard]] HeaderResult read_png_header(std::span<const uint8_t> bytes);

/// Decodes a PNG to `pixels`, 8 bits deep and without alpha: gray levels where the file has no
/// colours, else BGR. Samples of 16 bits keep their high byte. `header` is what read_png_header()
/// made of the same bytes, checksums included.
///
/// OpenCV's own reader is not used for PNG, because through it libpng writes to stderr.
///
/// Returns why the image cannot be used, or nothing on success.
[[nodiscard]] std::optional<std::string> decode_png(std::span<const uint8_t> bytes,
                                                    const ImageHeader& header, cv::Mat& pixels);

}  // namespace flexae
