#include "data/formats/tiff.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include <opencv2/imgcodecs.hpp>

#include <tiffio.h>

#include "test/data/decoding.h"
#include "test/data/support.h"

namespace flexae {
namespace {

using test::decode;
using test::Decoded;
using test::Random;
using test::reason;
using test::rgb_bytes;
using test::TempFolder;

using Bytes = std::vector<uint8_t>;

/// A TIFF to be written in any of its forms.
struct Tiff {
  uint32_t width = 0;
  uint32_t height = 0;
  uint16_t bits = 8;
  uint16_t samples = 1;
  uint16_t photometric = PHOTOMETRIC_MINISBLACK;
  uint16_t format = SAMPLEFORMAT_UINT;
  uint16_t compression = COMPRESSION_NONE;
  uint16_t planar = PLANARCONFIG_CONTIG;
  uint16_t orientation = ORIENTATION_TOPLEFT;
  /// What the samples beyond the colours are; -1: there are none.
  int extra = -1;
  uint32_t rows = 0;  // of a strip, or of a tile
  uint32_t tile = 0;  // its width; 0: strips
  bool big_endian = false;
  std::vector<uint16_t> palette{};  // all red, all green, all blue
  /// Samples of a pixel side by side, rows from the top, whatever the form.
  std::vector<uint16_t> values{};

  [[nodiscard]] uint32_t value(uint32_t x, uint32_t y, uint16_t sample) const {
    return values[(size_t{y} * width + x) * samples + sample];
  }

  /// Columns × rows of pixels from (left, top) on, of one plane or of all; zeros beyond the edges.
  [[nodiscard]] Bytes block(uint32_t left, uint32_t top, uint32_t columns, uint32_t count,
                            int plane) const {
    Bytes bytes;
    for (uint32_t y = top; y < top + count; ++y) {
      uint32_t pending = 0;
      unsigned pending_bits = 0;
      for (uint32_t x = left; x < left + columns; ++x) {
        for (uint16_t sample = 0; sample < samples; ++sample) {
          if (plane >= 0 && sample != plane) continue;
          const uint32_t number = x < width && y < height ? value(x, y, sample) : 0;
          if (bits == 16) {
            // In the machine's order; libtiff swaps.
            const auto narrow = static_cast<uint16_t>(number);
            const auto* from = reinterpret_cast<const uint8_t*>(&narrow);
            bytes.insert(bytes.end(), from, from + 2);
            continue;
          }
          pending = pending << bits | number;
          for (pending_bits += bits; pending_bits >= 8; pending_bits -= 8) {
            bytes.push_back(static_cast<uint8_t>(pending >> (pending_bits - 8)));
          }
        }
      }
      if (pending_bits > 0) bytes.push_back(static_cast<uint8_t>(pending << (8 - pending_bits)));
    }
    return bytes;
  }

  [[nodiscard]] Bytes file() const {
    const TempFolder folder;
    const std::string path = folder.file("picture.tif");
    TIFF* tiff = TIFFOpen(path.c_str(), big_endian ? "wb" : "wl");
    EXPECT_NE(tiff, nullptr);
    TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, width);
    TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, height);
    TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, bits);
    TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, samples);
    TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, photometric);
    TIFFSetField(tiff, TIFFTAG_SAMPLEFORMAT, format);
    TIFFSetField(tiff, TIFFTAG_COMPRESSION, compression);
    TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, planar);
    TIFFSetField(tiff, TIFFTAG_ORIENTATION, orientation);
    if (extra >= 0) {
      const auto kind = static_cast<uint16_t>(extra);
      TIFFSetField(tiff, TIFFTAG_EXTRASAMPLES, 1, &kind);
    }
    if (photometric == PHOTOMETRIC_PALETTE) {
      const size_t colors = size_t{1} << bits;
      TIFFSetField(tiff, TIFFTAG_COLORMAP, palette.data(), palette.data() + colors,
                   palette.data() + 2 * colors);
    }
    if (photometric == PHOTOMETRIC_YCBCR) TIFFSetField(tiff, TIFFTAG_YCBCRSUBSAMPLING, 1, 1);
    const uint32_t count = rows == 0 ? height : rows;
    if (tile > 0) {
      TIFFSetField(tiff, TIFFTAG_TILEWIDTH, tile);
      TIFFSetField(tiff, TIFFTAG_TILELENGTH, count);
    } else {
      TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, count);
    }
    const bool separate = planar == PLANARCONFIG_SEPARATE;
    uint32_t index = 0;
    for (int plane = separate ? 0 : -1; plane < (separate ? samples : 0); ++plane) {
      for (uint32_t y = 0; y < height; y += count) {
        for (uint32_t x = 0; x<width; x += tile> 0 ? tile : width) {
          Bytes bytes = tile > 0 ? block(x, y, tile, count, plane)
                                 : block(0, y, width, std::min(count, height - y), plane);
          const auto size = static_cast<tmsize_t>(bytes.size());
          EXPECT_EQ(tile > 0 ? TIFFWriteEncodedTile(tiff, index, bytes.data(), size)
                             : TIFFWriteEncodedStrip(tiff, index, bytes.data(), size),
                    size);
          ++index;
        }
      }
    }
    TIFFClose(tiff);
    return test::read_bytes(path);
  }
};

Tiff random_tiff(Random& random) {
  struct Kind {
    uint16_t photometric;
    uint16_t samples;
    std::array<uint16_t, 4> bits;  // one of these
    int extra = -1;
  };
  static constexpr std::array<Kind, 13> kKinds{{
      {PHOTOMETRIC_MINISBLACK, 1, {1, 8, 8, 16}},
      {PHOTOMETRIC_MINISWHITE, 1, {1, 8, 8, 16}},
      {PHOTOMETRIC_MINISBLACK, 2, {8, 8, 16, 16}, EXTRASAMPLE_UNASSALPHA},
      {PHOTOMETRIC_MINISBLACK, 2, {8, 8, 16, 16}, EXTRASAMPLE_ASSOCALPHA},
      {PHOTOMETRIC_PALETTE, 1, {8, 8, 8, 8}},
      {PHOTOMETRIC_RGB, 3, {8, 8, 16, 16}},
      {PHOTOMETRIC_RGB, 4, {8, 8, 16, 16}, EXTRASAMPLE_UNASSALPHA},
      {PHOTOMETRIC_RGB, 4, {8, 8, 16, 16}, EXTRASAMPLE_ASSOCALPHA},
      {PHOTOMETRIC_RGB, 4, {8, 8, 16, 16}, EXTRASAMPLE_UNSPECIFIED},
      {PHOTOMETRIC_RGB, 4, {8, 8, 16, 16}},
      {PHOTOMETRIC_SEPARATED, 4, {8, 8, 8, 8}},
      {PHOTOMETRIC_CIELAB, 3, {8, 8, 8, 8}},
      {PHOTOMETRIC_YCBCR, 3, {8, 8, 8, 8}},
  }};
  static constexpr std::array<uint16_t, 4> kCompressions{
      COMPRESSION_NONE, COMPRESSION_LZW, COMPRESSION_ADOBE_DEFLATE, COMPRESSION_PACKBITS};
  const Kind& kind = kKinds[static_cast<size_t>(random.between(0, kKinds.size() - 1))];
  Tiff tiff;
  tiff.width = static_cast<uint32_t>(random.between(1, 60));
  tiff.height = static_cast<uint32_t>(random.between(1, 60));
  tiff.photometric = kind.photometric;
  tiff.samples = kind.samples;
  tiff.extra = kind.extra;
  tiff.bits = kind.bits[static_cast<size_t>(random.between(0, 3))];
  tiff.compression = kCompressions[static_cast<size_t>(random.between(0, 3))];
  tiff.orientation = static_cast<uint16_t>(random.between(1, 8));
  tiff.big_endian = random.between(0, 1) == 1;
  // libtiff converts such planes of colours alone.
  const bool may_separate =
      kind.samples >= 3 && kind.photometric != PHOTOMETRIC_CIELAB && kind.extra != 0;
  if (may_separate && random.between(0, 1) == 1) tiff.planar = PLANARCONFIG_SEPARATE;
  tiff.rows = static_cast<uint32_t>(random.between(1, static_cast<int>(tiff.height)));
  for (int i = 0; i < 3 << tiff.bits && tiff.photometric == PHOTOMETRIC_PALETTE; ++i) {
    tiff.palette.push_back(static_cast<uint16_t>(random.between(0, 65535)));
  }
  tiff.values.resize(size_t{tiff.width} * tiff.height * tiff.samples);
  for (uint16_t& value : tiff.values) {
    value = static_cast<uint16_t>(random.between(0, (1 << tiff.bits) - 1));
  }
  return tiff;
}

std::string description(const Tiff& tiff) {
  return "photometric " + std::to_string(tiff.photometric) + ", " + std::to_string(tiff.samples) +
         "×" + std::to_string(tiff.bits) + " bits, extra " + std::to_string(tiff.extra) +
         ", compression " + std::to_string(tiff.compression) + ", planar " +
         std::to_string(tiff.planar) + ", orientation " + std::to_string(tiff.orientation) + ", " +
         std::to_string(tiff.width) + "×" + std::to_string(tiff.height) + " by " +
         std::to_string(tiff.tile) + "×" + std::to_string(tiff.rows);
}

DecodeSpec whole(const Tiff& tiff) {
  const bool swaps = tiff.orientation >= 5;
  return {static_cast<int>(swaps ? tiff.width : tiff.height),
          static_cast<int>(swaps ? tiff.height : tiff.width), 3, Interpolation::kArea};
}

Bytes pixels_of(const Tiff& tiff) {
  const Decoded decoded = decode(tiff.file(), whole(tiff));
  EXPECT_EQ(decoded.reason, std::nullopt) << description(tiff);
  return decoded.pixels;
}

// An associated alpha is not multiplied with, as it should not be with any.
TEST(Tiff, IsDecodedAsByOpenCV) {
  Random random;
  SCOPED_TRACE(random.note());
  for (int round = 0; round < 300; ++round) {
    const Tiff tiff = random_tiff(random);
    Tiff associated = tiff;
    if (tiff.extra == EXTRASAMPLE_UNASSALPHA) associated.extra = EXTRASAMPLE_ASSOCALPHA;
    const cv::Mat expected =
        cv::imdecode(associated.file(), cv::IMREAD_COLOR | cv::IMREAD_IGNORE_ORIENTATION);
    ASSERT_FALSE(expected.empty()) << round << ": " << description(tiff);
    ASSERT_EQ(pixels_of(tiff), rgb_bytes(expected)) << round << ": " << description(tiff);
  }
}

// OpenCV turns each tile within itself, libtiff 4.5 refuses tiles that are not compressed and no
// multiple of 1024 bytes unless they are mapped, and spoils some at the right edge.
TEST(Tiff, TilesAreDecodedLikeStrips) {
  Random random;
  SCOPED_TRACE(random.note());
  for (int round = 0; round < 300; ++round) {
    Tiff tiff = random_tiff(random);
    const Bytes expected = pixels_of(tiff);
    tiff.tile = static_cast<uint32_t>(16 * random.between(1, 3));
    tiff.rows = static_cast<uint32_t>(16 * random.between(1, 3));
    ASSERT_EQ(pixels_of(tiff), expected) << round << ": " << description(tiff);
  }
}

TEST(Tiff, SamplesAreScaledToBytes) {
  Random random;
  SCOPED_TRACE(random.note());
  for (const uint16_t bits : {1, 2, 4, 8, 16}) {
    for (const uint16_t photometric :
         {PHOTOMETRIC_MINISBLACK, PHOTOMETRIC_MINISWHITE, PHOTOMETRIC_PALETTE, PHOTOMETRIC_RGB}) {
      const bool color = photometric == PHOTOMETRIC_RGB;
      const bool palette = photometric == PHOTOMETRIC_PALETTE;
      if ((color && bits < 8) || (palette && bits > 8)) continue;
      Tiff tiff{
          .width = 37, .height = 11, .bits = bits, .samples = color ? uint16_t{3} : uint16_t{1}};
      tiff.photometric = photometric;
      tiff.compression = COMPRESSION_LZW;
      tiff.rows = 4;
      if (palette) {
        for (int i = 0; i < 3 << bits; ++i) {
          tiff.palette.push_back(static_cast<uint16_t>(random.between(0, 255) * 257));
        }
      }
      const int most = (1 << bits) - 1;
      Bytes expected;
      for (uint32_t i = 0; i < tiff.width * tiff.height * tiff.samples; ++i) {
        const int value = random.between(0, most);
        tiff.values.push_back(static_cast<uint16_t>(value));
        // Gray levels of 16 bits keep their high byte.
        int level = bits == 16 && !color ? value >> 8 : (value * 255 + most / 2) / most;
        if (photometric == PHOTOMETRIC_MINISWHITE) level = 255 - level;
        if (color) {
          expected.push_back(static_cast<uint8_t>(level));
          continue;
        }
        for (int channel = 0; channel < 3; ++channel) {
          const int at = (channel << bits) + value;
          expected.push_back(
              static_cast<uint8_t>(palette ? tiff.palette[static_cast<size_t>(at)] / 257 : level));
        }
      }
      EXPECT_EQ(pixels_of(tiff), expected) << description(tiff);
    }
  }
}

TEST(Tiff, SaysWhyItIsRefused) {
  Tiff tiff{.width = 5, .height = 3, .values = std::vector<uint16_t>(5 * 3 * 5, 9)};
  ASSERT_EQ(reason(tiff.file()), "");
  tiff.samples = 5;
  EXPECT_EQ(reason(tiff.file()), "corrupt or unsupported TIFF (more than four samples a pixel)");
  tiff.samples = 1;
  tiff.bits = 16;
  tiff.format = SAMPLEFORMAT_IEEEFP;
  EXPECT_EQ(reason(tiff.file()), "corrupt or unsupported TIFF (floating-point samples)");
  tiff.format = SAMPLEFORMAT_UINT;
  tiff.bits = 12;
  EXPECT_EQ(reason(tiff.file()),
            "corrupt or unsupported TIFF (can not handle images with 12-bit samples)");
}

// OpenCV left the picture before it in place, and that was taken for this one.
TEST(Tiff, WhatIsRefusedHasNoPixelsOfThePictureBefore) {
  ASSERT_EQ(reason(test::read_bytes(test::kImages + "color.png")), "");
  Tiff tiff{.width = 24, .height = 16, .bits = 16, .format = SAMPLEFORMAT_IEEEFP};
  tiff.values.resize(size_t{24} * 16);
  EXPECT_NE(reason(tiff.file()), "");
}

TEST(Tiff, TilesCountWhole) {
  // 24×16 pixels in one tile, whose size is a signed LONG: libtiff takes that too.
  auto tiff = test::read_bytes(test::kImages + "gray.tif");
  const size_t directory = tiff[4] | tiff[5] << 8 | tiff[6] << 16;
  const size_t count = tiff[directory];
  for (const int type : {3, 4, 8, 9}) {
    auto tiled = tiff;
    // The last two entries become tile width and tile height, 65535 each.
    for (size_t i = 0; i < 2; ++i) {
      test::put(tiled, directory + 2 + 12 * (count - 2 + i),
                {static_cast<int>(0x42 + i), 1, type, 0, 1, 0, 0, 0, 0xff, 0xff, 0, 0});
    }
    EXPECT_EQ(reason(tiled).substr(0, 15), "too many pixels") << type;
  }
  auto unreadable = tiff;
  test::put(unreadable, directory + 2 + 12 * (count - 2), {0x42, 1, 12, 0, 1, 0, 0, 0, 0, 0, 0, 0});
  EXPECT_EQ(reason(unreadable), "corrupt TIFF (tile size)");
}

// The fuzzer found that the bytes for a strip of sides near 2³¹ overflowed.
TEST(Tiff, WhatHugeSidesTakeIsCounted) {
  const auto found = read_tiff_header(test::read_bytes(
      std::string(FLEXAE_FIXTURES) + "/../../native/fuzz/seeds/image/found-tiff-overflowing-size"));
  ASSERT_TRUE(found.header) << found.reason;
  EXPECT_GE(found.header->working_bytes / found.header->width / found.header->height, 5);
}

TEST(Tiff, SpoiltPixelsAreNotMadeUp) {
  Random random;
  SCOPED_TRACE(random.note());
  testing::internal::CaptureStderr();
  for (const uint16_t compression : {COMPRESSION_LZW, COMPRESSION_ADOBE_DEFLATE}) {
    for (const uint32_t tile : {0U, 16U}) {
      Tiff tiff{.width = 40, .height = 30, .compression = compression, .rows = 16, .tile = tile};
      for (int i = 0; i < 40 * 30; ++i) {
        tiff.values.push_back(static_cast<uint16_t>(random.between(0, 255)));
      }
      Bytes bytes = tiff.file();
      ASSERT_EQ(reason(bytes), "");
      // The pixels come first.
      std::fill(bytes.begin() + 60, bytes.begin() + 200, uint8_t{0xff});
      EXPECT_EQ(reason(bytes).substr(0, 27), "corrupt or unsupported TIFF") << description(tiff);
    }
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace flexae
