#include "data/formats/bmp.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <opencv2/imgcodecs.hpp>

#include "test/data/decoding.h"
#include "test/data/support.h"

namespace flexae {
namespace {

using test::decode;
using test::Decoded;
using test::Random;
using test::reason;
using test::rgb_bytes;

using Bytes = std::vector<uint8_t>;

/// A BMP to be written in any of its forms.
struct Bmp {
  int width = 0;
  int height = 0;  // negative: rows from top to bottom
  int depth = 24;
  unsigned compression = 0;
  size_t header_size = 40;  // 12: OS/2's first
  unsigned colors_used = 0;
  std::vector<std::array<uint8_t, 3>> palette{};  // blue, green, red
  std::vector<uint32_t> masks{};                  // red, green, blue, alpha
  Bytes pixels{};

  [[nodiscard]] Bytes file() const {
    Bytes header(std::max<size_t>(header_size, 40), 0);
    const auto put = [&header](size_t at, int64_t value, size_t size) {
      for (size_t i = 0; i < size; ++i) header[at + i] = static_cast<uint8_t>(value >> (8 * i));
    };
    put(0, static_cast<int64_t>(header_size), 4);
    if (header_size == 12) {
      put(4, width, 2);
      put(6, height, 2);
      put(8, 1, 2);
      put(10, depth, 2);
    } else {
      put(4, width, 4);
      put(8, height, 4);
      put(12, 1, 2);
      put(14, depth, 2);
      if (header_size >= 20) put(16, compression, 4);
      if (header_size >= 36) put(32, colors_used, 4);
    }
    header.resize(header_size);
    for (size_t i = 0; i < masks.size(); ++i) {
      if (header.size() < 44 + 4 * i) header.resize(44 + 4 * i);
      put(40 + 4 * i, masks[i], 4);
    }
    for (const auto& color : palette) {
      header.insert(header.end(), color.begin(), color.end());
      if (header_size != 12) header.push_back(0);
    }
    Bytes bytes{'B', 'M', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    const size_t offset = bytes.size() + header.size();
    for (size_t i = 0; i < 4; ++i) bytes[10 + i] = static_cast<uint8_t>(offset >> (8 * i));
    bytes.insert(bytes.end(), header.begin(), header.end());
    bytes.insert(bytes.end(), pixels.begin(), pixels.end());
    return bytes;
  }

  [[nodiscard]] size_t row_bytes() const {
    return (static_cast<size_t>(width) * static_cast<size_t>(depth) + 31) / 32 * 4;
  }
};

Bytes random_bytes(size_t count, Random& random) {
  Bytes bytes(count);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.between(0, 255));
  return bytes;
}

std::vector<std::array<uint8_t, 3>> random_palette(size_t count, Random& random) {
  std::vector<std::array<uint8_t, 3>> palette(count);
  for (auto& color : palette) {
    for (uint8_t& sample : color) sample = static_cast<uint8_t>(random.between(0, 255));
  }
  return palette;
}

/// Random runs and stretches that make whole rows, with jumps where `jumps`.
Bytes random_runs(const Bmp& bmp, Random& random, bool jumps) {
  Bytes bytes;
  const auto add = [&bytes](int value) { bytes.push_back(static_cast<uint8_t>(value)); };
  for (int y = 0; y < bmp.height; ++y) {
    for (int x = 0; x < bmp.width;) {
      const int left = bmp.width - x;
      const int kind = random.between(0, jumps ? 3 : 2);
      const int count = random.between(1, std::min(left, 255));
      // Not up to the row's end, where OpenCV begins the next one.
      if (kind == 3 && count < left) {
        if (random.between(0, 1) == 1) break;  // the row ends early
        for (const int value : {0, 2, count, 0}) add(value);
      } else if (kind == 2 && count >= 3) {
        add(0);
        add(count);
        const int size = bmp.depth == 8 ? count : (count + 1) / 2;
        for (int i = 0; i < size + size % 2; ++i) add(random.between(0, 255));
      } else {
        add(count);
        add(random.between(0, 255));
      }
      x += count;
    }
    add(0);
    add(y == bmp.height - 1 ? 1 : 0);
  }
  return bytes;
}

Bmp random_bmp(Random& random) {
  static constexpr std::array<std::pair<int, unsigned>, 10> kKinds{
      {{1, 0}, {4, 0}, {8, 0}, {16, 0}, {24, 0}, {32, 0}, {16, 3}, {32, 3}, {4, 2}, {8, 1}}};
  const auto [depth, compression] = kKinds[static_cast<size_t>(random.between(0, 9))];
  Bmp bmp;
  bmp.width = random.between(1, 70);
  bmp.height = random.between(1, 40);
  bmp.depth = depth;
  bmp.compression = compression;
  static constexpr std::array<size_t, 5> kHeaders{40, 52, 56, 108, 124};
  bmp.header_size = kHeaders[static_cast<size_t>(random.between(0, 4))];
  if (depth == 16 && compression == 3) {
    bmp.header_size = 40;  // OpenCV looks for the masks behind the header
    bmp.masks = random.between(0, 1) == 0 ? std::vector<uint32_t>{0xf800, 0x7e0, 0x1f}
                                          : std::vector<uint32_t>{0x7c00, 0x3e0, 0x1f};
  } else if (compression == 3) {
    bmp.masks = {0xff0000, 0xff00, 0xff};
  }
  if (depth <= 8) {
    const int most = 1 << depth;
    const bool all = random.between(0, 1) == 0;
    bmp.colors_used = all ? 0 : static_cast<unsigned>(random.between(1, most));
    bmp.palette = random_palette(all ? static_cast<size_t>(most) : bmp.colors_used, random);
  }
  if (compression == 0 && depth != 16 && random.between(0, 3) == 0) {
    bmp.header_size = 12;
    if (depth <= 8) bmp.palette = random_palette(size_t{1} << depth, random);
  }
  bmp.pixels = compression == 1 || compression == 2
                   ? random_runs(bmp, random, true)
                   : random_bytes(bmp.row_bytes() * static_cast<size_t>(bmp.height), random);
  if (bmp.header_size != 12 && compression != 1 && compression != 2 && random.between(0, 2) == 0) {
    bmp.height = -bmp.height;
  }
  return bmp;
}

DecodeSpec whole(const Bmp& bmp) {
  return {std::abs(bmp.height), bmp.width, 3, Interpolation::kArea};
}

Bytes pixels_of(const Bmp& bmp) {
  const Decoded decoded = decode(bmp.file(), whole(bmp));
  EXPECT_EQ(decoded.reason, std::nullopt);
  return decoded.pixels;
}

TEST(Bmp, IsDecodedAsByOpenCV) {
  Random random;
  SCOPED_TRACE(random.note());
  for (int round = 0; round < 400; ++round) {
    const Bmp bmp = random_bmp(random);
    const Bytes file = bmp.file();
    const cv::Mat expected = cv::imdecode(file, cv::IMREAD_COLOR);
    ASSERT_FALSE(expected.empty()) << round;
    const Decoded decoded = decode(file, whole(bmp));
    ASSERT_EQ(decoded.reason, std::nullopt) << round;
    ASSERT_EQ(decoded.pixels, rgb_bytes(expected))
        << "round " << round << ": " << bmp.depth << " bits, compression " << bmp.compression
        << ", header of " << bmp.header_size << ", " << bmp.width << "×" << bmp.height;
  }
}

// OpenCV takes 32 bits for blue, green and red whatever their masks say, and no others of 16 bits.
TEST(Bmp, MasksSayWhereSamplesAre) {
  Bmp bmp{.width = 2, .height = 1, .depth = 32, .compression = 3};
  bmp.masks = {0xff, 0xff00, 0xff0000};
  bmp.pixels = {10, 20, 30, 40, 50, 60, 70, 80};
  EXPECT_EQ(pixels_of(bmp), (Bytes{10, 20, 30, 50, 60, 70}));
  bmp.masks = {0xff000000, 0xff0000, 0xff00, 0xff};
  bmp.header_size = 56;
  EXPECT_EQ(pixels_of(bmp), (Bytes{40, 30, 20, 80, 70, 60}));
  bmp.compression = 6;  // the alpha's mask counts as one
  EXPECT_EQ(pixels_of(bmp), (Bytes{40, 30, 20, 80, 70, 60}));
  // Ten bits a sample: 1023, 512 and 0; then 4, 2 and 1.
  bmp.masks = {0x3ff00000, 0xffc00, 0x3ff};
  bmp.compression = 3;
  bmp.pixels = {0x00, 0x00, 0xf8, 0x3f, 0x01, 0x08, 0x40, 0x00};
  EXPECT_EQ(pixels_of(bmp), (Bytes{255, 128, 0, 1, 0, 0}));
  // Four bits a sample, in a header that holds the masks.
  bmp.depth = 16;
  bmp.header_size = 108;
  bmp.masks = {0xf00, 0xf0, 0xf};
  bmp.pixels = {0x8f, 0x00, 0x21, 0xf4};
  EXPECT_EQ(pixels_of(bmp), (Bytes{0, 136, 255, 68, 34, 17}));
  // A sample of no bits is 0; no masks at all are the usual ones.
  bmp.masks = {0xff00, 0xff, 0};
  EXPECT_EQ(pixels_of(bmp), (Bytes{0, 0x8f, 0, 0xf4, 0x21, 0}));
  bmp.masks = {0, 0, 0};
  EXPECT_EQ(pixels_of(bmp), (Bytes{0, 32, 120, 232, 8, 8}));
  bmp.masks = {0xf50, 0xf0, 0xf};
  EXPECT_EQ(reason(bmp.file()), "corrupt BMP (masks)");
  bmp.masks = {0xf0000, 0xf0, 0xf};
  EXPECT_EQ(reason(bmp.file()), "corrupt BMP (masks)");
}

TEST(Bmp, PalettesHaveBoundsOfTheirOwn) {
  const std::vector<std::array<uint8_t, 3>> palette{{3, 2, 1}, {6, 5, 4}, {9, 8, 7}, {12, 11, 10}};
  Bmp bmp{.width = 4, .height = 1, .depth = 2, .palette = palette};
  bmp.pixels = {0x1b, 0, 0, 0};
  const Bytes expected{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  EXPECT_EQ(pixels_of(bmp), expected);
  // Headers may leave out all behind the depth.
  bmp.header_size = 16;
  EXPECT_EQ(pixels_of(bmp), expected);
  bmp.header_size = 40;
  // More than 8 bits can name are there, and fewer than they name.
  bmp.depth = 8;
  bmp.pixels = {0, 1, 2, 3};
  bmp.colors_used = 300;
  bmp.palette.resize(300);
  EXPECT_EQ(pixels_of(bmp), expected);
  bmp.palette = {palette[0], palette[1]};
  bmp.colors_used = 2;
  EXPECT_EQ(pixels_of(bmp), (Bytes{1, 2, 3, 4, 5, 6, 0, 0, 0, 0, 0, 0}));
}

// With 4 bits OpenCV ignores how far down a jump goes, and where the picture ends.
TEST(Bmp, RunsLeaveOutWhatTheyDoNotNeed) {
  const std::vector<std::array<uint8_t, 3>> palette{{1, 1, 1}, {2, 2, 2}, {3, 3, 3}, {4, 4, 4}};
  for (const int depth : {4, 8}) {
    Bmp bmp{.width = 4, .height = 3, .depth = depth, .compression = depth == 4 ? 2U : 1U};
    bmp.palette = palette;
    bmp.colors_used = 4;
    const uint8_t three = depth == 4 ? 0x33 : 3;
    // One pixel; two to the right and one up; two pixels, and the end.
    bmp.pixels = {1, three, 0, 2, 1, 1, 2, three, 0, 1};
    const std::string expected = "111111444111";
    const auto levels = [](const Bytes& pixels) {
      std::string text;
      for (size_t i = 0; i < pixels.size(); i += 3) {
        text += std::to_string(pixels[i]);
      }
      return text;
    };
    EXPECT_EQ(levels(pixels_of(bmp)), "111111444111") << depth;
    // A row that is full needs no end, nor does the last one.
    bmp.pixels = {4, three, 4, three, 4, three};
    EXPECT_EQ(levels(pixels_of(bmp)), "444444444444") << depth;
    // Two colours in turn.
    bmp.pixels = {3, 0x12, 0, 0, 0, 1};
    bmp.palette.resize(256, {9, 9, 9});
    bmp.colors_used = 0;
    if (depth == 4) bmp.palette.resize(16);
    EXPECT_EQ(levels(pixels_of(bmp)), depth == 4 ? "111111112321" : "111111119991") << depth;
  }
}

TEST(Bmp, RunsThatAreWrongAreRefused) {
  Bmp bmp{.width = 4, .height = 3, .depth = 8, .compression = 1};
  bmp.palette.resize(256);
  const std::map<std::string, std::vector<Bytes>> refused{
      {"truncated",
       {{}, {4}, {4, 1, 0, 0, 4, 1, 0, 0}, {0, 3, 1, 2, 3}, {0, 2, 1}, {4, 1, 0, 0, 0, 2, 0}}},
      {"corrupt BMP (runs beyond the picture)",
       {{5, 1}, {1, 1, 4, 1}, {0, 5, 1, 2, 3, 4, 5, 6}, {0, 2, 5, 0}, {3, 1, 0, 2, 2, 1}}},
  };
  for (const auto& [why, streams] : refused) {
    for (const Bytes& stream : streams) {
      bmp.pixels = stream;
      EXPECT_EQ(reason(bmp.file()), why) << testing::PrintToString(stream);
    }
  }
}

TEST(Bmp, RunsCutShortAreRefused) {
  Random random;
  SCOPED_TRACE(random.note());
  for (int round = 0; round < 20; ++round) {
    Bmp bmp{.width = 30, .height = 9, .depth = 8, .compression = 1};
    if (round % 2 == 1) bmp = {.width = 30, .height = 9, .depth = 4, .compression = 2};
    bmp.palette = random_palette(size_t{1} << bmp.depth, random);
    bmp.pixels = random_runs(bmp, random, false);
    const Bytes file = bmp.file();
    ASSERT_EQ(reason(file), "");
    // Without the end of the picture it has all its pixels yet.
    for (size_t size = 0; size + 2 < file.size(); ++size) {
      ASSERT_NE(reason({file.begin(), file.begin() + static_cast<long>(size)}), "") << size;
    }
  }
}

TEST(Bmp, SaysWhatIsWrongWithAHeader) {
  const Bmp good{.width = 3, .height = 2, .pixels = Bytes(24, 7)};
  ASSERT_EQ(reason(good.file()), "");
  const auto with = [&good](auto change) {
    Bmp bmp = good;
    change(bmp);
    return reason(bmp.file());
  };
  EXPECT_EQ(with([](Bmp& bmp) { bmp.width = 0; }), "corrupt BMP (header)");
  EXPECT_EQ(with([](Bmp& bmp) { bmp.width = -3; }), "corrupt BMP (header)");
  EXPECT_EQ(with([](Bmp& bmp) { bmp.height = 0; }), "corrupt BMP (header)");
  EXPECT_EQ(with([](Bmp& bmp) { bmp.depth = 64; }), "corrupt BMP (header)");
  EXPECT_EQ(with([](Bmp& bmp) { bmp.height = 3; }), "truncated");
  EXPECT_EQ(with([](Bmp& bmp) { bmp.depth = 5; }),
            "corrupt or unsupported BMP (5 bits, compression 0)");
  // A PNG in it.
  EXPECT_EQ(with([](Bmp& bmp) { bmp.compression = 5; }),
            "corrupt or unsupported BMP (24 bits, compression 5)");
  Bytes bytes = good.file();
  test::put(bytes, 10, {20, 0, 0, 0});  // pixels within the header
  EXPECT_EQ(reason(bytes), "corrupt BMP (header)");
  test::put(bytes, 10, {54, 0, 0, 0});
  test::put(bytes, 14, {13, 0, 0, 0});
  EXPECT_EQ(reason(bytes), "corrupt BMP (header)");
  test::put(bytes, 14, {0xff, 0xff, 0xff, 0xff});
  EXPECT_EQ(reason(bytes), "truncated");
}

// OpenCV left the picture before it in place, and that was taken for this one.
TEST(Bmp, WhatIsRefusedHasNoPixelsOfThePictureBefore) {
  ASSERT_EQ(reason(test::read_bytes(test::kImages + "color.png")), "");
  const Bmp png{.width = 24, .height = 16, .compression = 5, .pixels = Bytes(2000, 1)};
  EXPECT_NE(reason(png.file()), "");
}

}  // namespace
}  // namespace flexae
