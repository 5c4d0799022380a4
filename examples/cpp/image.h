// Images, and how they are read from PNG files.
#pragma once

#include <png.h>

#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

/// Bytes, row by row, the channels of a pixel beside each other: 1 is gray, 3 are RGB.
struct Image {
  size_t width = 0;
  size_t height = 0;
  size_t channels = 0;
  std::vector<uint8_t> pixels;
};

/// RGB of a PNG file of any kind, as training decodes it: of 16 bits the upper 8; alpha is dropped,
/// not blended; gamma and colour profiles are passed over.
inline Image read_png(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                             std::fclose);
  if (file == nullptr) throw std::runtime_error(path + " cannot be opened");
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  // libpng comes back here, with its message on stderr, when a file is broken.
  if (setjmp(png_jmpbuf(png)) != 0) {
    png_destroy_read_struct(&png, &info, nullptr);
    throw std::runtime_error(path + " is no PNG file, or a broken one");
  }
  png_init_io(png, file.get());
  png_read_png(png, info,
               PNG_TRANSFORM_EXPAND | PNG_TRANSFORM_STRIP_16 | PNG_TRANSFORM_STRIP_ALPHA |
                   PNG_TRANSFORM_GRAY_TO_RGB,
               nullptr);
  Image image{png_get_image_width(png, info), png_get_image_height(png, info), 3, {}};
  const png_bytepp rows = png_get_rows(png, info);
  for (size_t y = 0; y < image.height; ++y) {
    image.pixels.insert(image.pixels.end(), rows[y], rows[y] + 3 * image.width);
  }
  png_destroy_read_struct(&png, &info, nullptr);
  return image;
}

/// An RGB image with the channels that a model takes.
inline Image with_channels(const Image& image, int64_t channels) {
  if (channels == 3) return image;
  Image gray{image.width, image.height, 1, {}};
  for (size_t at = 0; at < image.pixels.size(); at += 3) {
    const uint8_t* rgb = &image.pixels[at];
    // ITU-R 601. Of equal channels it is just their value.
    gray.pixels.push_back((19595 * rgb[0] + 38470 * rgb[1] + 7471 * rgb[2] + 32768) >> 16);
  }
  return gray;
}
