#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace cv {
class Mat;
}

namespace flexae {

struct ImageHeader;

/// The plain text in PNM files.
class PnmText {
 public:
  PnmText(std::span<const uint8_t> bytes, size_t at) : bytes_(bytes), at_(at) {}

  /// The next whole number after white space and comments, 2³⁰ at most; absent at the end or at
  /// anything else.
  std::optional<int64_t> number();
  /// The next digit of a bitmap, whose digits need no space between them.
  std::optional<int> digit();

  [[nodiscard]] size_t position() const { return at_; }

 private:
  void skip_blanks();

  std::span<const uint8_t> bytes_;
  size_t at_;
};

/// Decodes a PNM whose header read_image_header() has read, and whose samples it has found to be
/// all there: to gray levels or BGR of 8 bits. Samples of 16 bits keep their high byte; others are
/// scaled so that their maximum becomes 255.
void decode_pnm(std::span<const uint8_t> bytes, const ImageHeader& header, cv::Mat& pixels);

}  // namespace flexae
