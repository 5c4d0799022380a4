#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace flexae {

enum class ImageFormat { kPng, kJpeg, kBmp, kTiff, kWebp, kPnm };

/// The format's usual name, such as "JPEG".
[[nodiscard]] const char* format_name(ImageFormat format);

/// The format that the first bytes of a file (12 are enough) are those of, if it is one of these.
[[nodiscard]] std::optional<ImageFormat> image_format(std::span<const uint8_t> bytes);

/// What the bytes of an image file say about it, before any pixel is decoded.
struct ImageHeader {
  ImageFormat format = ImageFormat::kPng;
  /// As stored, before any turning; at least 1. Of a TIFF, no less than its tiles.
  int64_t width = 0;
  int64_t height = 0;
  /// Samples a pixel where the format says so cheaply (JPEG, PNG, TIFF), else 0. Alpha counts.
  int components = 0;
  /// Whether the pixels are stored as gray levels, so that a one-channel decode loses nothing.
  bool gray = false;
  /// EXIF orientation, 1…8, left for the reader to apply; 1 for TIFF, whose decoder applies it.
  int orientation = 1;
  /// About what the decoder takes besides the picture it makes, in bytes.
  int64_t working_bytes = 0;
  /// PNM: the digit after the P, the sample that means white, and where the samples begin.
  int pnm_kind = 0;
  int white = 0;
  size_t data = 0;
  /// PNG: the byte ranges (offset, length) worth decoding; the others would but make libpng warn.
  std::vector<std::pair<size_t, size_t>> keep;
};

/// Either a header, or the reason why the bytes are no usable image.
struct HeaderResult {
  std::optional<ImageHeader> header;
  std::string reason;
};

/// No header, for this reason.
[[nodiscard]] HeaderResult refuse(std::string reason);
/// The header, unless its size is zero.
[[nodiscard]] HeaderResult accept(ImageHeader header);

/// "corrupt or unsupported …", with what a library said about it, if that is more than nothing.
[[nodiscard]] std::string unusable(ImageFormat format, std::string_view why = {});

/// Reads the header of a PNG, JPEG, BMP, TIFF (classic or big), WebP or PNM file, and walks its
/// structure far enough to tell a whole file from a truncated one. Takes no memory for pixels.
/// Reasons: "empty file", "not an image", "… is not supported", "truncated", "corrupt …".
[[nodiscard]] HeaderResult read_image_header(std::span<const uint8_t> bytes);

}  // namespace flexae
