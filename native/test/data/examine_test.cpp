#include "data/decode.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>

#include "test/data/decoding.h"
#include "test/data/support.h"

namespace flexae {
namespace {

using test::kImages;
using test::Random;
using test::TempFolder;

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
