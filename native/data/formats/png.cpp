#include "data/formats/png.h"

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <new>
#include <string_view>

#include <opencv2/core.hpp>

#include <png.h>

#include "data/formats/byte_reader.h"
#include "data/formats/orientation.h"

namespace flexae {
namespace {

uint32_t crc32(Bytes bytes) {
  // Eight bytes a step: this runs over every PNG read.
  static const auto kTables = [] {
    std::array<std::array<uint32_t, 256>, 8> tables{};
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t crc = i;
      for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320U : 0U);
      tables[0][i] = crc;
    }
    for (uint32_t i = 0; i < 256; ++i) {
      for (size_t t = 1; t < 8; ++t) {
        tables[t][i] = (tables[t - 1][i] >> 8) ^ tables[0][tables[t - 1][i] & 255];
      }
    }
    return tables;
  }();
  uint32_t crc = 0xffffffffU;
  const uint8_t* at = bytes.data();
  size_t left = bytes.size();
  for (; left >= 8; at += 8, left -= 8) {
    crc = kTables[7][(crc ^ at[0]) & 255] ^ kTables[6][((crc >> 8) ^ at[1]) & 255] ^
          kTables[5][((crc >> 16) ^ at[2]) & 255] ^ kTables[4][((crc >> 24) ^ at[3]) & 255] ^
          kTables[3][at[4]] ^ kTables[2][at[5]] ^ kTables[1][at[6]] ^ kTables[0][at[7]];
  }
  for (; left > 0; ++at, --left) crc = (crc >> 8) ^ kTables[0][(crc ^ *at) & 255];
  return ~crc;
}

/// What is left of the file, range by range, and where libpng's complaints go.
struct Reading {
  std::span<const uint8_t> file;
  std::span<const std::pair<size_t, size_t>> ranges;
  size_t done = 0;  // of the first of the ranges
  std::jmp_buf way_out{};
  std::array<char, 128> text{};
};

[[noreturn]] void on_error(png_structp png, png_const_charp text) {
  auto& stream = *static_cast<Reading*>(png_get_error_ptr(png));
  std::snprintf(stream.text.data(), stream.text.size(), "%s", text);
  // The only frames left by this are libpng's.
  std::longjmp(stream.way_out, 1);  // NOLINT(cert-err52-cpp)
}

void on_warning(png_structp /*png*/, png_const_charp /*text*/) {}

void read(png_structp png, png_bytep to, size_t size) {
  auto& [file, ranges, done, way_out, text] = *static_cast<Reading*>(png_get_io_ptr(png));
  while (size > 0) {
    if (ranges.empty()) png_error(png, "it ends too early");
    const auto& [offset, length] = ranges.front();
    const size_t part = std::min(size, length - done);
    std::memcpy(to, file.data() + offset + done, part);
    to += part;
    size -= part;
    done += part;
    if (done == length) {
      ranges = ranges.subspan(1);
      done = 0;
    }
  }
}

/// A reader that is destroyed with its owner.
struct PngReader {
  Reading stream;
  png_structp png = nullptr;
  png_infop info = nullptr;

  PngReader(std::span<const uint8_t> bytes, const ImageHeader& header) {
    stream.file = bytes;
    stream.ranges = header.keep;
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &stream, on_error, on_warning);
    info = png == nullptr ? nullptr : png_create_info_struct(png);
  }
  ~PngReader() { png_destroy_read_struct(&png, &info, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;
};

/// Everything that libpng may leave by a jump; nothing in here has a destructor to run.
bool decode(PngReader& reader, cv::Mat& pixels) {
  auto& [stream, png, info] = reader;
  if (setjmp(stream.way_out) != 0) return false;  // NOLINT(cert-err52-cpp)
  png_set_read_fn(png, &stream, read);
  png_set_crc_action(png, PNG_CRC_QUIET_USE, PNG_CRC_QUIET_USE);
  png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_read_info(png, info);
  const unsigned type = png_get_color_type(png, info);
  const bool color = (type & PNG_COLOR_MASK_COLOR) != 0;
  png_set_strip_16(png);
  if (type == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
  if (type == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(png);
  if ((type & PNG_COLOR_MASK_ALPHA) != 0) png_set_strip_alpha(png);
  if (color) png_set_bgr(png);
  const int passes = png_set_interlace_handling(png);
  png_read_update_info(png, info);
  const auto width = static_cast<int>(png_get_image_width(png, info));
  const auto height = static_cast<int>(png_get_image_height(png, info));
  pixels.create(height, width, color ? CV_8UC3 : CV_8UC1);
  if (png_get_rowbytes(png, info) != pixels.elemSize() * static_cast<size_t>(width)) {
    png_error(png, "its rows have another length");
  }
  for (int pass = 0; pass < passes; ++pass) {
    for (int y = 0; y < height; ++y) png_read_row(png, pixels.ptr<uint8_t>(y), nullptr);
  }
  png_read_end(png, nullptr);
  return true;
}

}  // namespace

HeaderResult read_png_header(std::span<const uint8_t> bytes) {
  ImageHeader header;
  header.format = ImageFormat::kPng;
  const ByteReader reader(bytes, true);
  header.keep.emplace_back(0, 8);
  const auto keep = [&header](size_t offset, size_t length) {
    auto& [last_offset, last_length] = header.keep.back();
    if (last_offset + last_length == offset) {
      last_length += length;
    } else {
      header.keep.emplace_back(offset, length);
    }
  };
  bool first = true;
  size_t at = 8;
  while (true) {
    const auto length = reader.get(at, 4);
    if (!length || bytes.size() - at < 12 || *length > bytes.size() - at - 12) {
      return refuse("truncated");
    }
    const Bytes chunk = bytes.subspan(at + 4, 4 + *length);
    const size_t whole = 12 + *length;
    const bool is_header = starts_with(chunk, "IHDR");
    const bool is_end = starts_with(chunk, "IEND");
    const bool critical = (chunk[0] & 0x20) == 0;
    if (first != is_header) return refuse("corrupt PNG (header out of place)");
    if (critical) {
      if (!is_header && !is_end && !starts_with(chunk, "PLTE") && !starts_with(chunk, "IDAT")) {
        return refuse("not a standard PNG");
      }
      if (reader.get(at + 8 + *length, 4) != crc32(chunk)) return refuse("corrupt PNG (checksum)");
      keep(at, whole);
    } else {
      // Colour profiles, text, transparency and animation change no pixel here, and many of them
      // are spoilt.
      if (starts_with(chunk, "eXIf")) header.orientation = exif_orientation(chunk.subspan(4));
    }
    if (is_header) {
      if (*length != 13) return refuse("corrupt PNG (header)");
      header.width = static_cast<int64_t>(*reader.get(at + 8, 4));
      header.height = static_cast<int64_t>(*reader.get(at + 12, 4));
      const int type = bytes[at + 17];
      header.gray = type == 0 || type == 4;
      header.components = type == 0 ? 1 : type == 4 ? 2 : type == 6 ? 4 : 3;
    }
    first = false;
    at += whole;
    if (is_end) break;
  }
  return accept(std::move(header));
}

std::optional<std::string> decode_png(std::span<const uint8_t> bytes, const ImageHeader& header,
                                      cv::Mat& pixels) {
  PngReader reader(bytes, header);
  if (reader.info == nullptr) throw std::bad_alloc();
  if (decode(reader, pixels)) return std::nullopt;
  const std::string text = reader.stream.text.data();
  if (text.find("memory") != std::string::npos) throw std::bad_alloc();
  return "corrupt PNG (" + text + ")";
}

}  // namespace flexae
