#include "data/formats/pnm.h"

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "test/data/decoding.h"
#include "test/data/support.h"

namespace flexae {
namespace {

using test::decode;
using test::Decoded;
using test::largest_difference;

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

}  // namespace
}  // namespace flexae
