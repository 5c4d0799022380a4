#include "data/files/hash.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

namespace flexae {
namespace {

TEST(Xxh64, GivesThePublishedValues) {
  const auto of = [](const std::string& text, uint64_t seed) {
    return xxh64({reinterpret_cast<const uint8_t*>(text.data()), text.size()}, seed);
  };
  EXPECT_EQ(of("", 0), 0xEF46DB3751D8E999U);
  EXPECT_EQ(of("a", 0), 0xD24EC4F1A98C6E5BU);
  EXPECT_EQ(of("abc", 0), 0x44BC2CF5AD770999U);
  EXPECT_EQ(of("Nobody inspects the spammish repetition", 0), 0xFBCEA83C8A378BF1U);
}

}  // namespace
}  // namespace flexae
