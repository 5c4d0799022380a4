#include "data/formats/pnm.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <optional>

#include <opencv2/core.hpp>

namespace flexae {
namespace {

bool is_digit(uint8_t byte) {
  return byte >= '0' && byte <= '9';
}

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

std::optional<int64_t> PnmText::number() {
  skip_blanks();
  if (at_ == bytes_.size() || !is_digit(bytes_[at_])) return std::nullopt;
  int64_t value = 0;
  for (; at_ < bytes_.size() && is_digit(bytes_[at_]); ++at_) {
    value = std::min<int64_t>(value * 10 + bytes_[at_] - '0', int64_t{1} << 30);
  }
  return value;
}

std::optional<int> PnmText::digit() {
  skip_blanks();
  if (at_ == bytes_.size() || !is_digit(bytes_[at_])) return std::nullopt;
  return bytes_[at_++] - '0';
}

void PnmText::skip_blanks() {
  for (; at_ < bytes_.size(); ++at_) {
    if (bytes_[at_] == '#') {
      while (at_ < bytes_.size() && bytes_[at_] != '\n') ++at_;
      if (at_ == bytes_.size()) return;
    } else if (std::strchr(" \t\r\n\v\f", bytes_[at_]) == nullptr || bytes_[at_] == 0) {
      return;
    }
  }
}

/// The samples of a file, one after the other, as bytes.
class Samples {
 public:
  Samples(std::span<const uint8_t> bytes, const ImageHeader& header)
      : bytes_(bytes), kind_(header.pnm_kind), white_(header.white), text_(bytes, header.data) {
    at_ = header.data;
  }

  void begin_row() {
    // Rows of packed bits end with a whole byte.
    at_ += bit_ > 0 ? 1 : 0;
    bit_ = 0;
  }

  uint8_t next() {
    switch (kind_) {
      case 1:
        return text_.digit().value_or(0) == 0 ? 255 : 0;
      case 2:
      case 3:
        return scaled(static_cast<uint32_t>(text_.number().value_or(0)));
      case 4: {
        const bool black = (bytes_[at_] << bit_ & 0x80) != 0;
        if (++bit_ == 8) {
          bit_ = 0;
          ++at_;
        }
        return black ? 0 : 255;
      }
      default:
        break;
    }
    if (white_ <= 255) return scaled(bytes_[at_++]);
    const uint32_t value = static_cast<uint32_t>(bytes_[at_]) << 8 | bytes_[at_ + 1];
    at_ += 2;
    return scaled(value);
  }

 private:
  [[nodiscard]] uint8_t scaled(uint32_t value) const {
    const auto white = static_cast<uint32_t>(white_);
    value = std::min(value, white);
    if (white == 255) return static_cast<uint8_t>(value);
    if (white == 65535) return static_cast<uint8_t>(value >> 8);
    return static_cast<uint8_t>((value * 255 + white / 2) / white);
  }

  std::span<const uint8_t> bytes_;
  int kind_;
  int white_;
  PnmText text_;
  size_t at_ = 0;
  int bit_ = 0;
};

}  // namespace

HeaderResult read_pnm_header(std::span<const uint8_t> bytes) {
  ImageHeader header;
  header.format = ImageFormat::kPnm;
  const int kind = bytes[1] - '0';
  PnmText text(bytes, 2);
  const bool bitmap = kind == 1 || kind == 4;
  const auto width = text.number();
  const auto height = text.number();
  const auto maximum = bitmap ? std::optional<int64_t>(1) : text.number();
  if (!width || !height || !maximum) {
    return refuse(text.position() == bytes.size() ? "truncated" : "not an image");
  }
  header.width = *width;
  header.height = *height;
  header.gray = kind != 3 && kind != 6;
  if (*maximum < 1 || *maximum > 65535) return refuse("corrupt PNM (maximum value)");
  if (*width < 1 || *height < 1) return refuse("corrupt (its size is zero)");
  header.pnm_kind = kind;
  header.white = static_cast<int>(*maximum);

  const auto pixels = static_cast<uint64_t>(*width) * static_cast<uint64_t>(*height);
  const uint64_t samples = pixels * (header.gray ? 1 : 3);
  header.data = text.position();
  if (kind <= 3) {
    if (samples > bytes.size()) return refuse("truncated");
    for (uint64_t i = 0; i < samples; ++i) {
      if (!(bitmap ? text.digit().has_value() : text.number().has_value()))
        return refuse("truncated");
    }
  } else {
    const uint64_t needed =
        bitmap ? (static_cast<uint64_t>(*width) + 7) / 8 * static_cast<uint64_t>(*height)
               : samples * (*maximum > 255 ? 2 : 1);
    ++header.data;  // one white-space byte ends the header
    if (header.data > bytes.size() || needed > bytes.size() - header.data)
      return refuse("truncated");
  }
  return accept(std::move(header));
}

void decode_pnm(std::span<const uint8_t> bytes, const ImageHeader& header, cv::Mat& pixels) {
  const auto width = static_cast<int>(header.width);
  const auto height = static_cast<int>(header.height);
  pixels.create(height, width, header.gray ? CV_8UC1 : CV_8UC3);
  Samples samples(bytes, header);
  for (int y = 0; y < height; ++y) {
    samples.begin_row();
    uint8_t* to = pixels.ptr<uint8_t>(y);
    for (int x = 0; x < width; ++x) {
      if (header.gray) {
        *to++ = samples.next();
        continue;
      }
      for (int channel = 2; channel >= 0; --channel) to[channel] = samples.next();
      to += 3;
    }
  }
}

}  // namespace flexae
