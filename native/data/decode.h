#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace flexae {

/// How an image is brought to its target size.
enum class Interpolation {
  /// The mean of the source area under each pixel; along an axis that grows, as kBilinear.
  kArea,
  /// Between the nearest two pixels along each axis, pixel centres aligned, no smoothing first.
  kBilinear,
  /// The nearest pixel, pixel centres aligned, as with Pillow's NEAREST.
  kNearest,
};

/// No image of more pixels is decoded.
inline constexpr int64_t kMostPixels = int64_t{1} << 30;

/// What every image is turned into.
struct DecodeSpec {
  int height = 0;
  int width = 0;
  /// 1 (gray levels) or 3 (red, green, blue).
  int channels = 1;
  Interpolation interpolation = Interpolation::kArea;
  /// Images whose file claims more pixels are refused before any memory is taken for them.
  int64_t max_pixels = int64_t{1} << 28;

  [[nodiscard]] int64_t bytes() const { return int64_t{1} * height * width * channels; }
};

/// Decodes encoded bytes (PNG, JPEG, BMP, TIFF, WebP, PNM; told by content, not by name) and writes
/// height×width×channels bytes, rows from top to bottom, channels last in RGB order, to `out`.
///
/// - 16-bit samples keep their high byte; those of a TIFF's colours are rounded. Floating-point
///   images are refused.
/// - Alpha is dropped, not blended: the colours stored under it count, as with Pillow's convert().
/// - Gray levels are ITU-R 601's, rounded as Pillow's convert("L") does; a YCbCr JPEG gives its Y.
/// - EXIF orientation is applied.
/// - With kArea a JPEG much larger than the target is decoded at 1/2, 1/4 or 1/8 of its size, which
///   moves no edge by more than a hundredth of the picture.
/// - The first picture of a TIFF or animated PNG counts.
///
/// Returns why the image cannot be used ("empty file", "not an image", "truncated",
/// "too many pixels (…)", "corrupt …"), or nothing on success. `out` is written only on success.
/// Any number of threads may call it at once.
[[nodiscard]] std::optional<std::string> decode_bytes(std::span<const uint8_t> bytes,
                                                      const DecodeSpec& spec, uint8_t* out);

/// Same, of a file. More reasons: "no such file", "broken link", "link that leads to itself",
/// "is a folder", "not a regular file", "permission denied", "file too large". Throws Error(kIo)
/// when the system is out of file handles or memory, which is no fault of the image.
[[nodiscard]] std::optional<std::string> decode_file(const std::string& path,
                                                     const DecodeSpec& spec, uint8_t* out);

/// What a file tells of itself while it is decoded.
struct FileFacts {
  /// In pixels, after turning by its EXIF orientation.
  int32_t width = 0;
  int32_t height = 0;
  /// The file's length.
  int64_t bytes = 0;
};

/// Same; `facts` is written only on success.
[[nodiscard]] std::optional<std::string> decode_file(const std::string& path,
                                                     const DecodeSpec& spec, uint8_t* out,
                                                     FileFacts& facts);

/// What can be told of an image without training on it.
struct ImageFacts {
  /// In pixels, after turning by its EXIF orientation.
  int64_t width = 0;
  int64_t height = 0;
  /// The same for images whose pixels are the same, however they are stored: a hash of the size and
  /// the pixels, as 8-bit gray levels or colours.
  uint64_t hash = 0;
  /// Standard deviation of the pixels, 0…127.5, of the channel where it is largest.
  double deviation = 0;
};

/// Decodes a file at its full size. `channels` as in DecodeSpec. Returns what decode_file() does;
/// `facts` is written only on success.
[[nodiscard]] std::optional<std::string> examine_file(const std::string& path, int channels,
                                                      int64_t max_pixels, ImageFacts& facts);

/// Whether a reason given by the functions above lies in the file's content, so that it stays true
/// until the file changes: not a missing right or memory that ran out.
[[nodiscard]] bool lies_in_content(const std::string& reason);

/// Raised whenever the same file would be decoded to other bytes than before.
inline constexpr uint32_t kDecoderVersion = 3;

/// The OpenCV in use, such as "4.6.0".
[[nodiscard]] std::string opencv_version();

}  // namespace flexae
