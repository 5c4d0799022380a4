#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include <opencv2/core.hpp>

#include "data/decode.h"

namespace flexae::test {

inline const std::string kImages = std::string(FLEXAE_FIXTURES) + "/images/";

struct Decoded {
  std::vector<uint8_t> pixels;
  std::optional<std::string> reason;
};

inline Decoded decode(const std::vector<uint8_t>& bytes, const DecodeSpec& spec) {
  Decoded result;
  result.pixels.resize(static_cast<size_t>(spec.bytes()));
  result.reason = decode_bytes(bytes, spec, result.pixels.data());
  return result;
}

/// Why bytes are refused, "" if they are not.
inline std::string reason(const std::vector<uint8_t>& bytes) {
  return decode(bytes, {16, 24, 3, Interpolation::kArea}).reason.value_or("");
}

/// Overwrites bytes from `at` on.
inline void put(std::vector<uint8_t>& bytes, size_t at, std::initializer_list<int> values) {
  std::transform(values.begin(), values.end(), bytes.begin() + static_cast<long>(at),
                 [](int value) { return static_cast<uint8_t>(value); });
}

inline int largest_difference(const std::vector<uint8_t>& a, const std::vector<uint8_t>& b) {
  EXPECT_EQ(a.size(), b.size());
  int largest = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    largest = std::max(largest, std::abs(a[i] - b[i]));
  }
  return largest;
}

/// The pixels of an OpenCV image in the order decode() gives them.
inline std::vector<uint8_t> rgb_bytes(const cv::Mat& image) {
  std::vector<uint8_t> bytes;
  for (int y = 0; y < image.rows; ++y) {
    for (int x = 0; x < image.cols; ++x) {
      for (int c = 0; c < image.channels(); ++c) {
        const int channel = image.channels() == 3 ? 2 - c : c;
        bytes.push_back(image.ptr<uint8_t>(y)[x * image.channels() + channel]);
      }
    }
  }
  return bytes;
}

/// `jpeg` with an EXIF segment that says no more than its orientation.
inline std::vector<uint8_t> with_orientation(const std::vector<uint8_t>& jpeg,
                                             uint8_t orientation) {
  const std::vector<uint8_t> exif{
      0xFF, 0xE1, 0,    34,   'E', 'x', 'i', 'f', 0, 0,  // APP1
      'I',  'I',  42,   0,    8,   0,   0,   0,          // TIFF, directory at 8
      1,    0,    0x12, 0x01, 3,   0,   1,   0,   0, 0, orientation, 0, 0, 0,  // one entry, a short
      0,    0,    0,    0};
  std::vector<uint8_t> turned(jpeg.begin(), jpeg.begin() + 2);
  turned.insert(turned.end(), exif.begin(), exif.end());
  turned.insert(turned.end(), jpeg.begin() + 2, jpeg.end());
  return turned;
}

}  // namespace flexae::test
