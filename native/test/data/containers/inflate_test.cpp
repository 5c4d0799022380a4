#include "data/containers/inflate.h"

#include <zlib.h>

#include <algorithm>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "test/data/containers/deflating.h"
#include "test/data/support.h"

namespace flexae {
namespace {

using test::deflated;
using test::Deflating;
using test::Random;
using Bytes = std::vector<uint8_t>;

/// Bytes that hardly get smaller, as a JPEG file's: not all values are as likely, and here and
/// there some repeat.
Bytes dense(size_t size, Random& random, int repeats_of_1000 = 1) {
  Bytes bytes;
  while (bytes.size() < size) {
    if (bytes.size() > 8 && random.between(1, 1000) <= repeats_of_1000) {
      const auto before = static_cast<size_t>(
          random.between(1, static_cast<int>(std::min<size_t>(bytes.size(), 32768))));
      for (int i = random.between(3, 12); i > 0; --i) {
        bytes.push_back(bytes[bytes.size() - before]);
      }
    }
    const int most = random.between(0, 3) == 0 ? 63 : 255;
    bytes.push_back(static_cast<uint8_t>(random.between(0, most)));
  }
  bytes.resize(size);
  return bytes;
}

/// Bytes with many repeats.
Bytes sparse(size_t size, Random& random) {
  Bytes bytes(size);
  for (size_t i = 0; i < size; ++i) {
    bytes[i] = i > 40 && random.between(0, 9) > 0 ? bytes[i - 40]
                                                  : static_cast<uint8_t>(random.between(0, 255));
  }
  return bytes;
}

std::vector<Deflating> all_ways() {
  std::vector<Deflating> ways;
  for (const int level : {0, 1, 6, 9}) ways.push_back({level, 8, Z_DEFAULT_STRATEGY});
  for (const int memory : {1, 9}) ways.push_back({6, memory, Z_DEFAULT_STRATEGY});
  for (const int strategy : {Z_HUFFMAN_ONLY, Z_RLE, Z_FIXED}) ways.push_back({6, 8, strategy});
  return ways;
}

/// Has `each` see packed bytes of all kinds, and what they were.
void for_all(Random& random, const std::function<void(const Bytes&, const Bytes&)>& each) {
  for (const size_t size : {1U, 2U, 100U, 5000U, 28000U, 140000U}) {
    for (const Deflating& way : all_ways()) {
      SCOPED_TRACE(std::to_string(size) + " bytes, level " + std::to_string(way.level) +
                   ", memory " + std::to_string(way.memory) + ", strategy " +
                   std::to_string(way.strategy));
      for (const Bytes& bytes :
           {dense(size, random), dense(size, random, 40), sparse(size, random), Bytes(size, 7)}) {
        each(deflated(bytes, way), bytes);
      }
    }
  }
}

TEST(Inflate, KnowsZlib) {
  EXPECT_EQ(inflaters().back(), Inflater::kZlib);
}

TEST(Inflate, GivesBackWhatWasDeflated) {
  Random random;
  SCOPED_TRACE(random.note());
  for_all(random, [](const Bytes& packed, const Bytes& bytes) {
    for (const Inflater by : inflaters()) {
      Bytes out(bytes.size());
      EXPECT_TRUE(inflate_by(by, packed, out));
      EXPECT_EQ(out, bytes);
    }
    Bytes out(bytes.size());
    EXPECT_TRUE(inflate_raw(packed, out));
    EXPECT_EQ(out, bytes);
    EXPECT_EQ(zip_crc(bytes), ::crc32_z(0, bytes.data(), bytes.size()));
  });
}

TEST(Inflate, LeavesWhatIsBehindAlone) {
  Random random;
  SCOPED_TRACE(random.note());
  for_all(random, [&](Bytes packed, const Bytes& bytes) {
    for (int i = 0; i < 200; ++i) packed.push_back(static_cast<uint8_t>(random.between(0, 255)));
    for (const Inflater by : inflaters()) {
      Bytes out(bytes.size());
      EXPECT_TRUE(inflate_by(by, packed, out));
      EXPECT_EQ(out, bytes);
    }
  });
}

TEST(Inflate, IsExactToTheByte) {
  Random random;
  SCOPED_TRACE(random.note());
  for_all(random, [&](const Bytes& packed, const Bytes& bytes) {
    const auto is_refused = [](std::span<const uint8_t> in, size_t size) {
      Bytes out(size);
      bool refused = !inflate_raw(in, out);
      for (const Inflater by : inflaters()) refused &= !inflate_by(by, in, out);
      return refused;
    };
    EXPECT_TRUE(is_refused(packed, bytes.size() + 1));
    EXPECT_TRUE(is_refused(packed, bytes.size() - 1));
    EXPECT_TRUE(is_refused({}, bytes.size()));
    for (int i = 0; i < 5; ++i) {
      const auto cut = static_cast<size_t>(random.between(1, static_cast<int>(packed.size())));
      EXPECT_TRUE(is_refused(std::span(packed).first(packed.size() - cut), bytes.size())) << cut;
    }
  });
}

TEST(Inflate, HasAnEndWhateverIsDamaged) {
  Random random;
  SCOPED_TRACE(random.note());
  for_all(random, [&](const Bytes& packed, const Bytes& bytes) {
    for (int i = 0; i < 20; ++i) {
      Bytes damaged = packed;
      for (int hits = random.between(1, 3); hits > 0; --hits) {
        const int last = static_cast<int>(packed.size()) - 1;
        // As often as not in the first block's codes.
        const int at = random.between(0, random.between(0, 1) == 0 ? std::min(last, 100) : last);
        damaged[static_cast<size_t>(at)] ^= static_cast<uint8_t>(1 << random.between(0, 7));
      }
      Bytes by_zlib(bytes.size());
      const bool is_something = inflate_by(Inflater::kZlib, damaged, by_zlib);
      for (const Inflater by : inflaters()) {
        // Each has its own idea of what is damaged; what all take is the same.
        Bytes out(bytes.size());
        if (inflate_by(by, damaged, out) && is_something) EXPECT_EQ(out, by_zlib);
      }
    }
  });
}

}  // namespace
}  // namespace flexae
