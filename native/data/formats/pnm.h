#pragma once

#include <cstdint>
#include <span>

#include "data/formats/image_header.h"

namespace cv {
class Mat;
}

namespace flexae {

/// The header of a PNM; see read_image_header().
[[nodiscard]] HeaderResult read_pnm_header(std::span<const uint8_t> bytes);

/// Decodes a PNM whose header read_pnm_header() has read, and whose samples it has found to be all
/// there: to gray levels or BGR of 8 bits. Samples of 16 bits keep their high byte; others are
/// scaled so that their maximum becomes 255.
void decode_pnm(std::span<const uint8_t> bytes, const ImageHeader& header, cv::Mat& pixels);

}  // namespace flexae
