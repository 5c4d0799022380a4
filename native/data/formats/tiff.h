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

/// The header of a TIFF's first picture; see read_image_header().
[[nodiscard]] HeaderResult read_tiff_header(std::span<const uint8_t> bytes);

/// Decodes the first picture of a TIFF to `pixels`, BGR of 8 bits, turned as its orientation asks.
/// `header` is what read_tiff_header() made of the same bytes, and its size one to be taken.
///
/// Whatever libtiff can turn into RGBA: samples of 1, 2, 4, 8 and 16 bits, gray levels, palettes,
/// RGB, CMYK, YCbCr, L*a*b*, LogLuv; strips and tiles; any compression it was built with. Alpha is
/// dropped. Gray levels of 16 bits keep their high byte, colours are rounded. Floating-point
/// samples and pictures of more than four samples a pixel are refused, and so are spoilt pixels.
///
/// Returns why the image cannot be used, or nothing on success.
[[nodiscard]] std::optional<std::string> decode_tiff(std::span<const uint8_t> bytes,
                                                     const ImageHeader& header, cv::Mat& pixels);

}  // namespace flexae
