#include "data/formats/orientation.h"

#include <opencv2/core.hpp>

#include "data/formats/tiff_directory.h"

namespace flexae {

int exif_orientation(Bytes block) {
  if (starts_with(block, std::string_view("Exif\0\0", 6))) block = block.subspan(6);
  if (!starts_with(block, "II") && !starts_with(block, "MM")) return 1;
  const auto directory = TiffDirectory::open(block);
  const uint64_t orientation = directory ? directory->first(0x112, 1) : 1;
  return orientation >= 1 && orientation <= 8 ? static_cast<int>(orientation) : 1;
}

cv::Mat turned(const cv::Mat& image, int orientation) {
  cv::Mat result = image;
  if (orientation >= 5) {
    cv::Mat transposed;
    cv::transpose(result, transposed);
    result = transposed;
  }
  // How to flip what is left: 1 left-right, 0 top-bottom, -1 both.
  static constexpr int kNone = 2;
  static constexpr int kFlips[9] = {kNone, kNone, 1, -1, 0, kNone, 1, -1, 0};
  if (kFlips[orientation] != kNone) {
    cv::Mat flipped;
    cv::flip(result, flipped, kFlips[orientation]);
    result = flipped;
  }
  return result;
}

}  // namespace flexae
