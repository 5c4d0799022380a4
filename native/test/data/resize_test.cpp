#include "data/resize.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
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
using test::rgb_bytes;

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
      const Decoded decoded = decode(test::with_orientation(jpeg, orientation), spec);
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

}  // namespace
}  // namespace flexae
