#pragma once

#include "data/formats/byte_reader.h"

namespace cv {
class Mat;
}

namespace flexae {

/// The orientation, 1…8, that an EXIF block asks for; 1 where it asks for none. The block may begin
/// with "Exif\0\0".
[[nodiscard]] int exif_orientation(Bytes block);

/// A stored picture as its orientation, 1…8, wants it seen. It may share the memory of `image`.
[[nodiscard]] cv::Mat turned(const cv::Mat& image, int orientation);

}  // namespace flexae
