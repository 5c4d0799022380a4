#include "data/decode.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <numeric>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "test/data/decoding.h"
#include "test/data/support.h"

namespace flexae {
namespace {

using test::decode;
using test::Decoded;
using test::kImages;
using test::largest_difference;
using test::put;
using test::Random;
using test::reason;
using test::rgb_bytes;
using test::TempFolder;

// ---- Files of every kind, against Pillow
// ---------------------------------------------------------

struct Fixture {
  const char* name;
  int rgb_tolerance = 0;
  int gray_tolerance = 0;
};

// A JPEG's own Y and the gray of its rounded RGB differ by up to 3; CMYK is rounded elsewhere.
const Fixture kFixtures[] = {
    {"color.jpg", 1, 3},   {"gray.jpg", 1, 1},    {"cmyk.jpg", 2, 2},    {"progressive.jpg", 1, 3},
    {"rgb.jpg", 1, 1},     {"turned2.jpg", 1, 3}, {"turned3.jpg", 1, 3}, {"turned4.jpg", 1, 3},
    {"turned5.jpg", 1, 3}, {"turned6.jpg", 1, 3}, {"turned7.jpg", 1, 3}, {"turned8.jpg", 1, 3},
    {"color.png"},         {"gray.png"},          {"gray_alpha.png"},    {"bits1.png"},
    {"alpha.png"},         {"palette.png"},       {"palette_alpha.png"}, {"deep.png"},
    {"turned6.png"},       {"bad_profile.png"},   {"animated.png"},      {"color.bmp"},
    {"alpha.bmp"},         {"palette.bmp"},       {"bits1.bmp"},         {"color.tif"},
    {"gray.tif"},          {"deep.tif"},          {"alpha.tif"},         {"palette.tif"},
    {"cmyk.tif"},          {"bits1.tif"},         {"big.tif"},           {"turned2.tif"},
    {"turned3.tif"},       {"turned4.tif"},       {"turned5.tif"},       {"turned6.tif"},
    {"turned7.tif"},       {"turned8.tif"},       {"lossy.webp", 1, 1},  {"alpha.webp"},
    {"turned6.webp"},      {"color.ppm"},         {"gray.pgm"},          {"bits1.pbm"},
    {"deep.pgm"},          {"gray.bmp"},          {"gray_alpha.tif"},    {"deflate.tif"},
    {"fax.tif"},           {"jpeg.tif", 1, 1},
};

class DecodeFixture : public ::testing::TestWithParam<Fixture> {};

TEST_P(DecodeFixture, AgreesWithPillow) {
  const Fixture& fixture = GetParam();
  for (const int channels : {3, 1}) {
    const std::string expected_path =
        kImages + "expected/" + fixture.name + (channels == 3 ? ".rgb.png" : ".gray.png");
    const cv::Mat expected =
        cv::imread(expected_path, channels == 3 ? cv::IMREAD_COLOR : cv::IMREAD_GRAYSCALE);
    ASSERT_FALSE(expected.empty()) << expected_path;
    const DecodeSpec spec{expected.rows, expected.cols, channels, Interpolation::kArea};
    std::vector<uint8_t> pixels(static_cast<size_t>(spec.bytes()));
    testing::internal::CaptureStderr();
    const auto why = decode_file(kImages + fixture.name, spec, pixels.data());
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
    ASSERT_FALSE(why) << *why;
    EXPECT_LE(largest_difference(pixels, rgb_bytes(expected)),
              channels == 3 ? fixture.rgb_tolerance : fixture.gray_tolerance)
        << channels << " channels";
  }
}

// A file cut anywhere is refused, quietly, and never read past its end.
TEST_P(DecodeFixture, CutShortIsRefused) {
  const std::vector<uint8_t> whole = test::read_bytes(kImages + GetParam().name);
  const bool tiff = std::string(GetParam().name).ends_with(".tif");
  std::vector<size_t> accepted;
  testing::internal::CaptureStderr();
  // The last bytes of a TIFF may be tags that no pixel depends on.
  for (size_t size = 0; size < (tiff ? whole.size() / 2 : whole.size()); ++size) {
    if (reason({whole.begin(), whole.begin() + static_cast<long>(size)}).empty()) {
      accepted.push_back(size);
    }
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(accepted, std::vector<size_t>{}) << "of " << whole.size() << " bytes";
}

// Damaged bytes give pixels or a reason, and harm no image that comes after.
TEST_P(DecodeFixture, SurvivesDamage) {
  Random random;
  SCOPED_TRACE(random.note());
  const std::vector<uint8_t> whole = test::read_bytes(kImages + GetParam().name);
  const Decoded before = decode(whole, {16, 24, 3, Interpolation::kArea});
  testing::internal::CaptureStderr();
  for (int round = 0; round < 60; ++round) {
    std::vector<uint8_t> damaged = whole;
    for (int i = random.between(1, 6); i > 0; --i) {
      damaged[static_cast<size_t>(random.between(0, static_cast<int>(whole.size()) - 1))] =
          static_cast<uint8_t>(random.between(0, 255));
    }
    DecodeSpec spec{16, 24, round % 2 == 0 ? 3 : 1, Interpolation::kArea};
    spec.max_pixels = 1 << 20;
    static_cast<void>(decode(damaged, spec));
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  const Decoded after = decode(whole, {16, 24, 3, Interpolation::kArea});
  EXPECT_EQ(after.reason, std::nullopt);
  EXPECT_EQ(after.pixels, before.pixels);
}

INSTANTIATE_TEST_SUITE_P(Formats, DecodeFixture, ::testing::ValuesIn(kFixtures),
                         [](const auto& parameter) {
                           std::string name = parameter.param.name;
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

TEST(Decode, ScalesPnmSamplesByTheirMaximum) {
  for (const int maximum : {1, 15, 100, 255, 1023, 65535}) {
    for (const char kind : {'2', '5'}) {
      const std::string head =
          std::string("P") + kind + "\n# a comment\n4 1\n" + std::to_string(maximum) + "\n";
      std::vector<uint8_t> bytes(head.begin(), head.end());
      std::vector<uint8_t> expected;
      for (const int sample : {0, maximum / 3, maximum / 2, maximum}) {
        if (kind == '2') {
          for (const char c : std::to_string(sample) + " ") {
            bytes.push_back(static_cast<uint8_t>(c));
          }
        } else {
          if (maximum > 255) bytes.push_back(static_cast<uint8_t>(sample >> 8));
          bytes.push_back(static_cast<uint8_t>(sample));
        }
        expected.push_back(static_cast<uint8_t>(std::lround(255.0 * sample / maximum)));
      }
      const Decoded decoded = decode(bytes, {1, 4, 1, Interpolation::kArea});
      ASSERT_FALSE(decoded.reason) << *decoded.reason;
      EXPECT_LE(largest_difference(decoded.pixels, expected), 1) << head;
    }
  }
}

// ---- Resizing
// ------------------------------------------------------------------------------------

/// Weight of each source pixel for each target pixel along one axis, in double precision.
std::vector<std::vector<double>> axis_weights(int from, int to, Interpolation interpolation) {
  std::vector<std::vector<double>> weights(static_cast<size_t>(to));
  const double scale = static_cast<double>(from) / to;
  for (int i = 0; i < to; ++i) {
    auto& row = weights[static_cast<size_t>(i)];
    row.assign(static_cast<size_t>(from), 0);
    if (interpolation == Interpolation::kArea && to <= from) {
      for (int j = 0; j < from; ++j) {
        const double overlap =
            std::min<double>(j + 1, (i + 1) * scale) - std::max(j * 1.0, i * scale);
        row[static_cast<size_t>(j)] = std::max(overlap, 0.0) / scale;
      }
    } else if (interpolation == Interpolation::kNearest) {
      // The last pixel that begins at or before the centre, (2i + 1)·from / 2to.
      int nearest = 0;
      while (2 * (nearest + 1) * to <= (2 * i + 1) * from) ++nearest;
      row[static_cast<size_t>(nearest)] = 1;
    } else {
      const double centre = std::clamp((i + 0.5) * scale - 0.5, 0.0, from - 1.0);
      const int left = std::min(static_cast<int>(centre), from - 1);
      row[static_cast<size_t>(left)] += 1 - (centre - left);
      row[static_cast<size_t>(std::min(left + 1, from - 1))] += centre - left;
    }
  }
  return weights;
}

std::vector<uint8_t> reference_resize(const cv::Mat& image, const DecodeSpec& spec) {
  const auto rows = axis_weights(image.rows, spec.height, spec.interpolation);
  const auto columns = axis_weights(image.cols, spec.width, spec.interpolation);
  const std::vector<uint8_t> source = rgb_bytes(image);
  const auto channels = static_cast<size_t>(image.channels());
  std::vector<uint8_t> result;
  for (const auto& row : rows) {
    for (const auto& column : columns) {
      for (size_t c = 0; c < channels; ++c) {
        double sum = 0;
        for (size_t y = 0; y < row.size(); ++y) {
          if (row[y] == 0) continue;
          for (size_t x = 0; x < column.size(); ++x) {
            sum += row[y] * column[x] * source[(y * column.size() + x) * channels + c];
          }
        }
        result.push_back(static_cast<uint8_t>(std::lround(sum)));
      }
    }
  }
  return result;
}

TEST(Decode, ResizesAsDocumentedAtRandomSizes) {
  Random random;
  SCOPED_TRACE(random.note());
  for (int round = 0; round < 200; ++round) {
    const int channels = random.between(0, 1) == 0 ? 1 : 3;
    const cv::Mat image =
        test::noise(random.between(1, 60), random.between(1, 60), channels, random);
    const DecodeSpec spec{random.between(1, 60), random.between(1, 60), channels,
                          static_cast<Interpolation>(random.between(0, 2))};
    const Decoded decoded = decode(test::encode(".png", image), spec);
    ASSERT_FALSE(decoded.reason) << *decoded.reason;
    // Two passes, where one axis shrinks and the other grows, round twice.
    ASSERT_LE(largest_difference(decoded.pixels, reference_resize(image, spec)),
              spec.interpolation == Interpolation::kNearest ? 0 : 2)
        << image.cols << "×" << image.rows << " to " << spec.width << "×" << spec.height
        << ", interpolation " << static_cast<int>(spec.interpolation);
  }
}

TEST(Decode, ResizesAsPillowDoes) {
  const auto bytes = test::read_bytes(kImages + "color.png");
  for (const auto& [name, interpolation] :
       {std::pair{"box", Interpolation::kArea}, std::pair{"nearest", Interpolation::kNearest}}) {
    const cv::Mat expected = cv::imread(kImages + "expected/color.png." + name + ".png");
    ASSERT_FALSE(expected.empty()) << name;
    const Decoded decoded = decode(bytes, {expected.rows, expected.cols, 3, interpolation});
    ASSERT_FALSE(decoded.reason);
    EXPECT_LE(largest_difference(decoded.pixels, rgb_bytes(expected)),
              interpolation == Interpolation::kNearest ? 0 : 1)
        << name;
  }
}

TEST(Decode, MeansOfWholeBlocksAreExact) {
  cv::Mat image(8, 8, CV_8UC1);
  for (int i = 0; i < 64; ++i) image.data[i] = static_cast<uint8_t>(4 * i);
  const Decoded decoded = decode(test::encode(".png", image), {2, 2, 1, Interpolation::kArea});
  ASSERT_FALSE(decoded.reason);
  EXPECT_EQ(decoded.pixels, (std::vector<uint8_t>{54, 70, 182, 198}));
}

cv::Mat smooth(int height, int width) {
  cv::Mat image(height, width, CV_8UC3);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      auto& pixel = image.at<cv::Vec3b>(y, x);
      pixel[0] = static_cast<uint8_t>(127 + 120 * std::sin(x * 0.011));
      pixel[1] = static_cast<uint8_t>(127 + 120 * std::cos(y * 0.017));
      pixel[2] = static_cast<uint8_t>((x + y) * 255 / (width + height));
    }
  }
  return image;
}

TEST(Decode, ReducedJpegDecodingChangesLittle) {
  for (const auto& [height, width] : {std::pair{1024, 768}, std::pair{1021, 763}}) {
    const cv::Mat image = smooth(height, width);
    const auto jpeg = test::encode(".jpg", image, {cv::IMWRITE_JPEG_QUALITY, 95});
    for (const int target : {8, 60, 96, 200, 381}) {
      const DecodeSpec spec{target * 4 / 3, target, 3, Interpolation::kArea};
      const Decoded reduced = decode(jpeg, spec);
      ASSERT_FALSE(reduced.reason) << *reduced.reason;
      // The same file by way of PNG, which is decoded at its full size.
      const auto whole = test::encode(".png", cv::imdecode(jpeg, cv::IMREAD_COLOR));
      const Decoded full = decode(whole, spec);
      EXPECT_LE(largest_difference(reduced.pixels, full.pixels), height % 8 == 0 ? 3 : 8)
          << height << "×" << width << " to " << target;
    }
  }
}

// `jpeg` with an EXIF segment that says no more than its orientation.
std::vector<uint8_t> with_orientation(const std::vector<uint8_t>& jpeg, uint8_t orientation) {
  const std::vector<uint8_t> exif{
      0xFF, 0xE1, 0,    34,   'E', 'x', 'i', 'f', 0, 0,  // APP1
      'I',  'I',  42,   0,    8,   0,   0,   0,          // TIFF, directory at 8
      1,    0,    0x12, 0x01, 3,   0,   1,   0,   0, 0, orientation, 0, 0, 0,  // one entry, a short
      0,    0,    0,    0};
  std::vector<uint8_t> turned(jpeg.begin(), jpeg.begin() + 2);
  turned.insert(turned.end(), exif.begin(), exif.end());
  turned.insert(turned.end(), jpeg.begin() + 2, jpeg.end());
  return turned;
}

// The target's sides are the turned picture's, so the scale is chosen by the sides as they end up.
TEST(Decode, ReducedJpegsAreTurned) {
  const auto jpeg = test::encode(".jpg", smooth(512, 1024), {cv::IMWRITE_JPEG_QUALITY, 95});
  const cv::Mat stored = cv::imdecode(jpeg, cv::IMREAD_COLOR);
  for (uint8_t orientation = 1; orientation <= 8; ++orientation) {
    cv::Mat upright = stored.clone();
    if (orientation >= 5) cv::transpose(stored, upright);
    // Which sides are then swapped: left and right, both, top and bottom.
    const bool across =
        orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7;
    const bool down = orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8;
    if (across) cv::flip(upright, upright, 1);
    if (down) cv::flip(upright, upright, 0);
    for (const auto& [height, width] :
         {std::pair{128, 64}, std::pair{64, 128}, std::pair{60, 60}}) {
      const DecodeSpec spec{height, width, 3, Interpolation::kArea};
      const Decoded decoded = decode(with_orientation(jpeg, orientation), spec);
      ASSERT_FALSE(decoded.reason) << *decoded.reason;
      const Decoded expected = decode(test::encode(".png", upright), spec);
      EXPECT_LE(largest_difference(decoded.pixels, expected.pixels), 3)
          << "orientation " << int{orientation} << ", " << height << "×" << width;
    }
  }
}

// The last, partial block of a small JPEG must not weigh as much as the whole ones.
TEST(Decode, SmallJpegsAreNotReducedUnevenly) {
  cv::Mat image(9, 9, CV_8UC1, cv::Scalar(200));
  image.col(8) = 20;
  image.row(8) = 20;
  const auto jpeg = test::encode(".jpg", image, {cv::IMWRITE_JPEG_QUALITY, 100});
  const Decoded decoded = decode(jpeg, {1, 1, 1, Interpolation::kArea});
  ASSERT_FALSE(decoded.reason);
  EXPECT_NEAR(decoded.pixels[0], (64 * 200 + 17 * 20) / 81.0, 3);
}

// ---- What is no usable image
// ---------------------------------------------------------------------

TEST(Decode, SaysWhyBytesAreNoImage) {
  EXPECT_EQ(reason({}), "empty file");
  EXPECT_EQ(reason({'h', 'e', 'l', 'l', 'o'}), "not an image");
  EXPECT_EQ(reason(test::read_bytes(kImages + "gif.png")), "GIF is not supported");
  EXPECT_EQ(reason(test::read_bytes(kImages + "animated.webp")), "animated WebP is not supported");
  EXPECT_EQ(reason(test::read_bytes(kImages + "float.tif")),
            "corrupt or unsupported TIFF (floating-point samples)");
  std::vector<uint8_t> cut = test::read_bytes(kImages + "color.jpg");
  cut.resize(cut.size() - 2);
  EXPECT_EQ(reason(cut), "truncated");
  std::vector<uint8_t> flipped = test::read_bytes(kImages + "color.png");
  flipped[flipped.size() / 2] ^= 1;
  EXPECT_EQ(reason(flipped), "corrupt PNG (checksum)");
}

TEST(Decode, BytesAfterTheEndOfAPictureDoNotMatter) {
  for (const char* name : {"color.jpg", "color.png", "color.ppm", "color.bmp"}) {
    std::vector<uint8_t> bytes = test::read_bytes(kImages + name);
    const Decoded before = decode(bytes, {16, 24, 3, Interpolation::kArea});
    bytes.insert(bytes.end(), 1000, 0xff);
    const Decoded after = decode(bytes, {16, 24, 3, Interpolation::kArea});
    ASSERT_FALSE(after.reason) << name << ": " << *after.reason;
    EXPECT_EQ(before.pixels, after.pixels) << name;
  }
}

/// The marker before a JPEG's coded data.
constexpr std::array<uint8_t, 2> kScan{0xff, 0xda};

TEST(Decode, SpoiltJpegPixelsAreNotMadeUp) {
  Random random;
  SCOPED_TRACE(random.note());
  const auto jpeg = test::encode(".jpg", test::noise(200, 300, 3, random));
  const auto scan = std::search(jpeg.begin(), jpeg.end(), kScan.begin(), kScan.end());
  ASSERT_NE(scan, jpeg.end());
  testing::internal::CaptureStderr();
  // Coded data that ends before the picture does, though the file has its end.
  std::vector<uint8_t> torn(jpeg.begin(), scan + (jpeg.end() - scan) / 2);
  torn.insert(torn.end(), {0xff, 0xd9});
  EXPECT_EQ(reason(torn), "corrupt or unsupported JPEG (premature end of data segment)");
  // A piece between two restart markers is missing.
  const auto pieces =
      test::encode(".jpg", test::noise(200, 300, 3, random), {cv::IMWRITE_JPEG_RST_INTERVAL, 1});
  const std::array<uint8_t, 2> restart{0xff, 0xd2};
  const std::array<uint8_t, 2> next{0xff, 0xd3};
  const auto from = std::search(pieces.begin(), pieces.end(), restart.begin(), restart.end());
  const auto to = std::search(from, pieces.end(), next.begin(), next.end());
  ASSERT_NE(to, pieces.end());
  std::vector<uint8_t> gap(pieces.begin(), from);
  gap.insert(gap.end(), to, pieces.end());
  EXPECT_EQ(reason(gap), "corrupt or unsupported JPEG (found marker 0xd3 instead of RST2)");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(Decode, StderrIsQuietForBadImagesAlone) {
  testing::internal::CaptureStderr();
  std::thread([] {
    for (int i = 0; i < 200; ++i)
      static_cast<void>(reason(test::read_bytes(kImages + "float.tif")));
  }).join();
  std::cerr << "something" << ' ' << 5 << '\n';
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "something 5\n");
}

TEST(Decode, SpoiltPngPixelsAreNoneOfStderrsBusiness) {
  // Compressed data that is none, under a right checksum: IHDR of 4×4 gray, IDAT "spoilt", IEND.
  static constexpr uint8_t kPng[] = {
      0x89, 'P',  'N',  'G', '\r', '\n', 0x1a, '\n', 0,   0,   0,   13,   'I',  'H',  'D',  'R',
      0,    0,    0,    4,   0,    0,    0,    4,    8,   0,   0,   0,    0,    0x8c, 0x9a, 0xc1,
      0xa2, 0,    0,    0,   6,    'I',  'D',  'A',  'T', 's', 'p', 'o',  'i',  'l',  't',  0xfe,
      0xf1, 0x00, 0x14, 0,   0,    0,    0,    'I',  'E', 'N', 'D', 0xae, 0x42, 0x60, 0x82};
  testing::internal::CaptureStderr();
  EXPECT_EQ(reason({std::begin(kPng), std::end(kPng)}).substr(0, 13), "corrupt PNG (");
  EXPECT_NE(reason({std::begin(kPng), std::end(kPng)}), "corrupt PNG (checksum)");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

// What OpenCV makes of the same file, bit for bit: only who calls the libraries differs.
TEST(Decode, JpegAndPngAreDecodedAsByOpenCV) {
  Random random;
  SCOPED_TRACE(random.note());
  for (int round = 0; round < 120; ++round) {
    const int channels = random.between(0, 1) == 0 ? 1 : 3;
    cv::Mat image = test::noise(random.between(1, 70), random.between(1, 70), channels, random);
    const bool png = round % 3 == 0;
    std::vector<uint8_t> bytes;
    if (png) {
      if (random.between(0, 1) == 1) image.convertTo(image, CV_16U, 257);
      bytes = test::encode(".png", image);
    } else {
      bytes = test::encode(
          ".jpg", image,
          {cv::IMWRITE_JPEG_QUALITY, random.between(5, 100), cv::IMWRITE_JPEG_PROGRESSIVE,
           random.between(0, 1), cv::IMWRITE_JPEG_RST_INTERVAL, random.between(0, 3)});
    }
    const DecodeSpec spec{image.rows, image.cols, png || channels == 3 ? 3 : 1,
                          Interpolation::kNearest};
    const Decoded decoded = decode(bytes, spec);
    ASSERT_FALSE(decoded.reason) << *decoded.reason;
    const cv::Mat expected =
        cv::imdecode(bytes, spec.channels == 3 ? cv::IMREAD_COLOR : cv::IMREAD_GRAYSCALE);
    ASSERT_EQ(decoded.pixels, rgb_bytes(expected)) << "round " << round;
  }
  for (const char* name : {"cmyk.jpg", "rgb.jpg", "progressive.jpg", "palette.png", "bits1.png",
                           "alpha.png", "gray_alpha.png", "deep.png"}) {
    const auto bytes = test::read_bytes(kImages + name);
    const cv::Mat expected = cv::imdecode(bytes, cv::IMREAD_COLOR | cv::IMREAD_IGNORE_ORIENTATION);
    const Decoded decoded = decode(bytes, {expected.rows, expected.cols, 3, Interpolation::kArea});
    EXPECT_EQ(decoded.pixels, rgb_bytes(expected)) << name;
  }
}

// ---- Sizes that headers claim
// ------------------------------------------------------------------------------------

uint32_t crc32(const uint8_t* at, size_t size) {
  uint32_t crc = ~0U;
  for (size_t i = 0; i < size; ++i) {
    crc ^= at[i];
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (0xedb88320U & (0U - (crc & 1)));
  }
  return ~crc;
}

/// Files of a few hundred bytes that claim 16383×16383 pixels or more.
std::vector<std::pair<std::string, std::vector<uint8_t>>> boasts() {
  std::vector<std::pair<std::string, std::vector<uint8_t>>> files;
  const auto add = [&](const std::string& name) -> std::vector<uint8_t>& {
    return files.emplace_back(name, test::read_bytes(kImages + name)).second;
  };
  for (const char* name : {"color.jpg", "progressive.jpg"}) {
    auto& jpeg = add(name);
    for (size_t i = 2; i + 9 < jpeg.size(); i += 2 + (jpeg[i + 2] << 8) + jpeg[i + 3]) {
      if (jpeg[i + 1] != 0xc0 && jpeg[i + 1] != 0xc2) continue;
      put(jpeg, i + 5, {0xff, 0xff, 0xff, 0xff});
      break;
    }
  }
  for (const char* name : {"color.png", "gray.png", "palette.png"}) {
    auto& png = add(name);
    put(png, 16, {0, 0, 0x40, 0, 0, 0, 0x40, 0});
    const uint32_t crc = crc32(png.data() + 12, 17);
    put(png, 29,
        {static_cast<int>(crc >> 24), static_cast<int>(crc >> 16 & 255),
         static_cast<int>(crc >> 8 & 255), static_cast<int>(crc & 255)});
  }
  // Run lengths of which a few make a whole picture.
  auto& bmp = add("palette.bmp");
  put(bmp, 18, {0, 0x40, 0, 0, 0, 0x40, 0, 0});
  put(bmp, 30, {1});
  // Each of these says it in another place; no WebP can say more.
  put(add("lossy.webp"), 26, {0xff, 0x3f, 0xff, 0x3f});
  auto& lossless = add("alpha.webp");
  put(lossless, 21, {0xff, 0xff, 0xff, lossless[24] | 0x0f});
  put(add("turned6.webp"), 24, {0xff, 0x3f, 0, 0xff, 0x3f, 0});
  // The first two entries, width and height, as LONG.
  put(add("gray.tif"), 0, {});
  auto& tiff = files.back().second;
  const size_t directory = tiff[4] | tiff[5] << 8 | tiff[6] << 16;
  for (size_t i = 0; i < 2; ++i) {
    const size_t entry = directory + 2 + 12 * i;
    EXPECT_EQ(tiff[entry], i);  // tags 256 and 257
    put(tiff, entry + 2, {4, 0, 1, 0, 0, 0, 0, 0x40, 0, 0});
  }
  return files;
}

/// The most address space this process has had, in kilobytes.
long peak_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    long kilobytes = 0;
    if (word == "VmPeak:" && status >> kilobytes) return kilobytes;
  }
  return -1;
}

/// Prints why an image is refused, and whether that took memory; ends the process.
[[noreturn]] void tell_and_exit(const std::vector<uint8_t>& bytes, int64_t max_pixels) {
  static_cast<void>(reason({1}));
  const long before = peak_memory();
  DecodeSpec spec{16, 24, 3, Interpolation::kArea};
  spec.max_pixels = max_pixels;
  const std::string why = decode(bytes, spec).reason.value_or("it was taken");
  const bool quiet = peak_memory() - before < 16 << 10;
  std::fprintf(stderr, "%s, %s\n", why.c_str(), quiet ? "no memory" : "memory");
  std::exit(0);
}

TEST(Decode, BoastsAreRefusedBeforeMemoryIsTaken) {
  for (const auto& [name, bytes] : boasts()) {
    // In a process of its own, so that the peak is this image's.
    EXPECT_EXIT(tell_and_exit(bytes, 268'000'000), testing::ExitedWithCode(0),
                "too many pixels .*; --max-pixels is 268000000.*, no memory")
        << name;
  }
}

// What the fuzzer found.
TEST(Decode, InputsThatOnceDidHarmDoNoMore) {
  const std::string folder = std::string(FLEXAE_FIXTURES) + "/../../native/fuzz/seeds/image";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const auto bytes = test::read_bytes(entry.path().string());
    EXPECT_EXIT(tell_and_exit(bytes, 1 << 16), testing::ExitedWithCode(0), ", no memory\n")
        << entry.path();
  }
}

TEST(Decode, TheLimitIsOnPixelsAndOfTheUsersChoice) {
  DecodeSpec spec{16, 24, 3, Interpolation::kArea};
  for (const char* name : {"color.jpg", "color.png", "color.bmp", "color.tif", "lossy.webp",
                           "alpha.webp", "color.ppm", "big.tif"}) {
    const auto bytes = test::read_bytes(kImages + name);
    spec.max_pixels = 24 * 16 - 1;
    EXPECT_EQ(decode(bytes, spec).reason, "too many pixels (24×16 = 384; --max-pixels is 383)")
        << name;
    spec.max_pixels = 24 * 16;
    EXPECT_EQ(decode(bytes, spec).reason, std::nullopt) << name;
  }
  const std::string huge = "P5 1000000000 1000000000 255\n";
  EXPECT_EQ(reason({huge.begin(), huge.end()}), "truncated");
}

TEST(Decode, TilesOfATiffCountWhole) {
  // 24×16 pixels in one tile, whose size is a signed LONG: libtiff takes that too.
  auto tiff = test::read_bytes(kImages + "gray.tif");
  const size_t directory = tiff[4] | tiff[5] << 8 | tiff[6] << 16;
  const size_t count = tiff[directory];
  for (const int type : {3, 4, 8, 9}) {
    auto tiled = tiff;
    // The last two entries become tile width and tile height, 65535 each.
    for (size_t i = 0; i < 2; ++i) {
      put(tiled, directory + 2 + 12 * (count - 2 + i),
          {static_cast<int>(0x42 + i), 1, type, 0, 1, 0, 0, 0, 0xff, 0xff, 0, 0});
    }
    EXPECT_EQ(reason(tiled).substr(0, 15), "too many pixels") << type;
  }
  auto unreadable = tiff;
  put(unreadable, directory + 2 + 12 * (count - 2), {0x42, 1, 12, 0, 1, 0, 0, 0, 0, 0, 0, 0});
  EXPECT_EQ(reason(unreadable), "corrupt TIFF (tile size)");
}

TEST(Decode, EndlessScansAreRefused) {
  auto jpeg = test::read_bytes(kImages + "progressive.jpg");
  const auto scan = std::search(jpeg.begin(), jpeg.end(), kScan.begin(), kScan.end());
  ASSERT_NE(scan, jpeg.end());
  const std::vector<uint8_t> header(scan, scan + 2 + (scan[2] << 8 | scan[3]));
  std::vector<uint8_t> many(jpeg.begin(), scan);
  for (int i = 0; i < 501; ++i) many.insert(many.end(), header.begin(), header.end());
  many.insert(many.end(), scan, jpeg.end());
  EXPECT_EQ(reason(many), "corrupt JPEG (too many scans)");
}

TEST(Decode, OutputIsUntouchedOnFailure) {
  std::vector<uint8_t> pixels(16 * 24, 77);
  std::vector<uint8_t> cut = test::read_bytes(kImages + "gray.png");
  cut.resize(cut.size() / 2);
  ASSERT_TRUE(decode_bytes(cut, {16, 24, 1, Interpolation::kArea}, pixels.data()));
  EXPECT_EQ(pixels, std::vector<uint8_t>(16 * 24, 77));
}

TEST(Decode, SaysWhyFilesCannotBeRead) {
  const TempFolder folder;
  const DecodeSpec spec{16, 24, 3, Interpolation::kArea};
  std::vector<uint8_t> pixels(static_cast<size_t>(spec.bytes()));
  const auto why = [&](const std::string& name) {
    return decode_file(folder.file(name), spec, pixels.data()).value_or("");
  };
  test::write_bytes(folder.file("empty.png"), {});
  ASSERT_EQ(mkfifo(folder.file("pipe.png").c_str(), 0600), 0);
  EXPECT_EQ(why("empty.png"), "empty file");
  EXPECT_EQ(why("missing.png"), "no such file");
  EXPECT_EQ(why("empty.png/x.png"), "no such file");
  EXPECT_EQ(why(""), "is a folder");
  EXPECT_EQ(why("pipe.png"), "not a regular file");
  std::filesystem::create_symlink("nowhere", folder.path() / "broken.png");
  EXPECT_EQ(why("broken.png"), "broken link");
  std::filesystem::create_symlink("loop.png", folder.path() / "loop.png");
  EXPECT_EQ(why("loop.png"), "link that leads to itself");
  // A sparse file beyond what the decoders take.
  test::write_bytes(folder.file("large.png"), {1});
  std::filesystem::resize_file(folder.file("large.png"), std::uintmax_t{3} << 30);
  EXPECT_EQ(why("large.png"), "file too large");
  std::filesystem::resize_file(folder.file("large.png"), std::uintmax_t{1} << 30);
  EXPECT_EQ(why("large.png"), "not an image");
  if (geteuid() != 0) {
    test::write_bytes(folder.file("locked.png"), {1});
    ASSERT_EQ(chmod(folder.file("locked.png").c_str(), 0), 0);
    EXPECT_EQ(why("locked.png"), "permission denied");
  }
}

TEST(Decode, ManyThreadsGiveTheSameBytes) {
  std::vector<std::vector<uint8_t>> files;
  std::vector<std::vector<uint8_t>> expected;
  const DecodeSpec spec{19, 13, 3, Interpolation::kArea};
  for (const Fixture& fixture : kFixtures) {
    files.push_back(test::read_bytes(kImages + fixture.name));
    expected.push_back(decode(files.back(), spec).pixels);
  }
  std::array<int, 4> wrong{};
  std::vector<std::thread> threads;
  for (size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      for (size_t round = 0; round < 4; ++round) {
        for (size_t i = 0; i < files.size(); ++i) {
          const size_t file = (i + t * 11) % files.size();
          if (decode(files[file], spec).pixels != expected[file]) ++wrong[t];
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(std::accumulate(wrong.begin(), wrong.end(), 0), 0);
}

// ---- What is told of an image without training on it
// ------------------------------------------------------------------------------

class Examine : public ::testing::Test {
 protected:
  ImageFacts facts(const std::string& path, int channels = 3) {
    ImageFacts facts;
    const auto why = examine_file(path, channels, kMostPixels, facts);
    EXPECT_EQ(why, std::nullopt) << path;
    return facts;
  }
  ImageFacts facts_of(const std::vector<uint8_t>& bytes, int channels = 3) {
    test::write_bytes(folder_.file("image"), bytes);
    return facts(folder_.file("image"), channels);
  }

  TempFolder folder_;
};

TEST_F(Examine, SizesAreUpright) {
  for (const char* name : {"color.png", "turned2.jpg", "turned3.tif", "turned6.jpg", "turned6.png",
                           "turned8.tif", "turned6.webp"}) {
    const cv::Mat expected = cv::imread(kImages + "expected/" + name + ".rgb.png");
    const ImageFacts found = facts(kImages + name);
    EXPECT_EQ(found.width, expected.cols) << name;
    EXPECT_EQ(found.height, expected.rows) << name;
  }
}

TEST_F(Examine, HashesAreOfPixelsNotOfFiles) {
  Random random;
  SCOPED_TRACE(random.note());
  const cv::Mat color = test::noise(20, 30, 3, random);
  const uint64_t hash = facts_of(test::encode(".png", color)).hash;
  for (const char* extension : {".bmp", ".ppm", ".tif"}) {
    EXPECT_EQ(facts_of(test::encode(extension, color)).hash, hash) << extension;
  }
  EXPECT_EQ(facts_of(test::encode(".png", color, {cv::IMWRITE_PNG_COMPRESSION, 0})).hash, hash);
  // Gray levels stored as colours are the same picture.
  const cv::Mat gray = test::noise(20, 30, 1, random);
  cv::Mat gray_as_color;
  cv::merge(std::vector<cv::Mat>{gray, gray, gray}, gray_as_color);
  const uint64_t gray_hash = facts_of(test::encode(".png", gray)).hash;
  EXPECT_EQ(facts_of(test::encode(".bmp", gray_as_color)).hash, gray_hash);
  EXPECT_EQ(facts_of(test::encode(".png", gray), 1).hash, gray_hash);
  EXPECT_NE(gray_hash, hash);

  // One pixel, one level; the same bytes in another shape; a turn.
  cv::Mat other = color.clone();
  other.data[777] ^= 1;
  EXPECT_NE(facts_of(test::encode(".png", other)).hash, hash);
  EXPECT_NE(facts_of(test::encode(".png", color.reshape(0, 30))).hash, hash);
  cv::rotate(color, other, cv::ROTATE_180);
  EXPECT_NE(facts_of(test::encode(".png", other)).hash, hash);
  EXPECT_NE(facts(kImages + "turned3.jpg").hash, facts(kImages + "color.jpg").hash);
}

TEST_F(Examine, DeviationIsThatOfThePixels) {
  cv::Mat flat(10, 10, CV_8UC3, cv::Scalar(10, 200, 90));
  EXPECT_EQ(facts_of(test::encode(".png", flat)).deviation, 0);
  EXPECT_EQ(facts_of(test::encode(".png", flat), 1).deviation, 0);
  // Half black, half white, in one channel alone.
  cv::Mat half(10, 10, CV_8UC3, cv::Scalar(50, 0, 7));
  half.rowRange(0, 5).setTo(cv::Scalar(50, 255, 7));
  EXPECT_DOUBLE_EQ(facts_of(test::encode(".png", half)).deviation, 127.5);
}

TEST_F(Examine, WhatCannotBeUsedIsRefusedAlike) {
  ImageFacts facts;
  facts.hash = 5;
  EXPECT_EQ(examine_file(kImages + "gif.png", 3, kMostPixels, facts), "GIF is not supported");
  EXPECT_EQ(examine_file(kImages + "color.png", 3, 100, facts),
            "too many pixels (24×16 = 384; --max-pixels is 100)");
  EXPECT_EQ(examine_file(folder_.file("none.png"), 3, kMostPixels, facts), "no such file");
  EXPECT_EQ(facts.hash, 5U);
}

}  // namespace
}  // namespace flexae
