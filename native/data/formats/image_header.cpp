#include "data/formats/image_header.h"

#include <cstring>
#include <string_view>

#include "data/formats/bmp.h"
#include "data/formats/byte_reader.h"
#include "data/formats/jpeg.h"
#include "data/formats/png.h"
#include "data/formats/pnm.h"
#include "data/formats/tiff.h"
#include "data/formats/webp.h"

namespace flexae {
namespace {

// Names the images that people have besides those that are read.
std::string what_else(Bytes bytes) {
  struct Known {
    size_t at;
    std::string_view magic;
    const char* name;
  };
  static constexpr Known kKnown[] = {
      {0, "GIF8", "GIF"},         {4, "ftypavif", "AVIF"},  {4, "ftypheic", "HEIC"},
      {4, "ftypheix", "HEIC"},    {4, "ftypmif1", "HEIC"},  {0, "8BPS", "Photoshop"},
      {0, "%PDF", "PDF"},         {0, "<svg", "SVG"},       {0, "#?RADIANCE", "Radiance HDR"},
      {0, "v/1\x01", "OpenEXR"},  {4, "jP  ", "JPEG 2000"}, {4, "JXL ", "JPEG XL"},
      {0, "\xff\x0a", "JPEG XL"}, {128, "DICM", "DICOM"},
  };
  for (const auto& [at, magic, name] : kKnown) {
    if (starts_with(bytes, magic, at)) return std::string(name) + " is not supported";
  }
  return "not an image";
}

}  // namespace

HeaderResult refuse(std::string reason) {
  return {std::nullopt, std::move(reason)};
}

HeaderResult accept(ImageHeader header) {
  if (header.width < 1 || header.height < 1) return refuse("corrupt (its size is zero)");
  return {std::move(header), {}};
}

std::string unusable(ImageFormat format, std::string_view why) {
  std::string text = std::string("corrupt or unsupported ") + format_name(format);
  if (why.empty()) return text;
  // It may quote the file.
  constexpr size_t kLongest = 120;
  std::string words(why.substr(0, kLongest));
  for (char& letter : words) {
    if (letter < ' ' || letter > '~') letter = '?';
  }
  // As the rest of a sentence, unless it begins with an abbreviation.
  if (words.size() > 1 && words[0] >= 'A' && words[0] <= 'Z' && words[1] >= 'a') {
    words[0] = static_cast<char>(words[0] + 32);
  }
  return text + " (" + words + ")";
}

const char* format_name(ImageFormat format) {
  switch (format) {
    case ImageFormat::kPng:
      return "PNG";
    case ImageFormat::kJpeg:
      return "JPEG";
    case ImageFormat::kBmp:
      return "BMP";
    case ImageFormat::kTiff:
      return "TIFF";
    case ImageFormat::kWebp:
      return "WebP";
    case ImageFormat::kPnm:
      return "PNM";
  }
  return "";
}

std::optional<ImageFormat> image_format(std::span<const uint8_t> bytes) {
  if (starts_with(bytes, "\x89PNG\r\n\x1a\n")) return ImageFormat::kPng;
  if (starts_with(bytes, "\xff\xd8\xff")) return ImageFormat::kJpeg;
  if (starts_with(bytes, "RIFF") && starts_with(bytes, "WEBP", 8)) return ImageFormat::kWebp;
  for (const std::string_view magic :
       {std::string_view("II*\0", 4), std::string_view("MM\0*", 4), std::string_view("II+\0", 4),
        std::string_view("MM\0+", 4)}) {
    if (starts_with(bytes, magic)) return ImageFormat::kTiff;
  }
  if (starts_with(bytes, "BM")) return ImageFormat::kBmp;
  if (bytes.size() > 2 && bytes[0] == 'P' && bytes[1] >= '1' && bytes[1] <= '6' &&
      std::strchr(" \t\r\n#", bytes[2]) != nullptr && bytes[2] != 0) {
    return ImageFormat::kPnm;
  }
  return std::nullopt;
}

HeaderResult read_image_header(std::span<const uint8_t> bytes) {
  if (bytes.empty()) return refuse("empty file");
  const auto format = image_format(bytes);
  if (!format) return refuse(what_else(bytes));
  switch (*format) {
    case ImageFormat::kPng:
      return read_png_header(bytes);
    case ImageFormat::kJpeg:
      return read_jpeg_header(bytes);
    case ImageFormat::kBmp:
      return read_bmp_header(bytes);
    case ImageFormat::kTiff:
      return read_tiff_header(bytes);
    case ImageFormat::kWebp:
      return read_webp_header(bytes);
    case ImageFormat::kPnm:
      return read_pnm_header(bytes);
  }
  return refuse("not an image");
}

}  // namespace flexae
