#include "data/formats/jpeg.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>

#include "test/data/decoding.h"
#include "test/data/support.h"

namespace flexae {
namespace {

using test::kImages;
using test::Random;
using test::reason;

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

}  // namespace
}  // namespace flexae
