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

/// The header of a WebP; see read_image_header().
[[nodiscard]] HeaderResult read_webp_header(std::span<const uint8_t> bytes);

/// Decodes a WebP that is no animation to `pixels`, BGR of 8 bits; alpha is dropped.
///
/// OpenCV's own reader is not used for WebP: it hands what it refuses to the readers of formats
/// that this program knows nothing of.
///
/// Returns why the image cannot be used, or nothing on success.
[[nodiscard]] std::optional<std::string> decode_webp(std::span<const uint8_t> bytes,
                                                     cv::Mat& pixels);

}  // namespace flexae
