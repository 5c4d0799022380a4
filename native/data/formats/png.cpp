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

namespace flexae {
namespace {

/// The file, and where libpng's complaints go.
struct Reading {
  std::span<const uint8_t> left;
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
  auto& left = static_cast<Reading*>(png_get_io_ptr(png))->left;
  if (size > left.size()) png_error(png, "it ends too early");
  std::memcpy(to, left.data(), size);
  left = left.subspan(size);
}

/// A reader that is destroyed with its owner.
struct Decompressor {
  Reading stream;
  png_structp png = nullptr;
  png_infop info = nullptr;

  explicit Decompressor(std::span<const uint8_t> bytes) {
    stream.left = bytes;
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &stream, on_error, on_warning);
    info = png == nullptr ? nullptr : png_create_info_struct(png);
  }
  ~Decompressor() { png_destroy_read_struct(&png, &info, nullptr); }
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;
};

/// Everything that libpng may leave by a jump; nothing in here has a destructor to run.
bool decode(Decompressor& decompressor, cv::Mat& pixels) {
  auto& [stream, png, info] = decompressor;
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

std::optional<std::string> decode_png(std::span<const uint8_t> bytes, cv::Mat& pixels) {
  Decompressor decompressor(bytes);
  if (decompressor.info == nullptr) throw std::bad_alloc();
  if (decode(decompressor, pixels)) return std::nullopt;
  const std::string text = decompressor.stream.text.data();
  if (text.find("memory") != std::string::npos) throw std::bad_alloc();
  return "corrupt PNG (" + text + ")";
}

}  // namespace flexae
