#include "data/formats/png.h"

#include <cstdint>

#include "test/data/decoding.h"
#include "test/data/support.h"

namespace flexae {
namespace {

using test::reason;

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

}  // namespace
}  // namespace flexae
