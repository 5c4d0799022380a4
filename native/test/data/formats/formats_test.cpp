#include "data/formats/image_header.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>

#include "data/decode.h"
#include "test/data/decoding.h"
#include "test/data/support.h"

namespace flexae {
namespace {

using test::decode;
using test::Decoded;
using test::kImages;
using test::largest_difference;
using test::Random;
using test::reason;
using test::rgb_bytes;

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

}  // namespace
}  // namespace flexae
