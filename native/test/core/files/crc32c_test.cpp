#include "core/files/crc32c.h"

#include <gtest/gtest.h>

#include <string>

namespace flexae {
namespace {

TEST(Crc32c, GivesTheCheckValueOfTheStandard) {
  EXPECT_EQ(crc32c("123456789"), 0xe3069283U);  // RFC 3720, appendix B.4's polynomial
  EXPECT_EQ(crc32c("6789", crc32c("12345")), 0xe3069283U);
}

TEST(Crc32c, IsTheSameInOnePieceAndByBytes) {
  std::string data;
  for (int i = 0; i < 70; ++i) {
    uint32_t crc = 0;
    for (size_t k = 0; k < data.size(); ++k) crc = crc32c(std::string_view(data).substr(k, 1), crc);
    EXPECT_EQ(crc32c(data), crc) << data.size();
    EXPECT_EQ(crc32c_by_tables(data), crc) << data.size();
    data += static_cast<char>(i * 37);
  }
}

TEST(Crc32c, IsTheSameOfBytesThatAreReadInPieces) {
  const std::string data(1'000'003, 'x');
  const MemoryBytes bytes(data);
  EXPECT_EQ(crc32c(bytes, 0, data.size()), crc32c(data));
  EXPECT_EQ(crc32c(bytes, 5, 600'000, 7), crc32c(std::string_view(data).substr(5, 599'995), 7));
}

}  // namespace
}  // namespace flexae
