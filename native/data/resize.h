#pragma once

#include <cstdint>

#include "data/decode.h"

namespace cv {
class Mat;
}

namespace flexae {

/// Brings a stored picture, gray levels or BGR of 8 bits, to the size, the channels and the order
/// of `spec`, turned as its `orientation` (1…8) asks. Writes spec.bytes() bytes to `out`. A colour
/// picture must not be given where one channel is wanted.
void write_resized(const cv::Mat& image, int orientation, const DecodeSpec& spec, uint8_t* out);

}  // namespace flexae
