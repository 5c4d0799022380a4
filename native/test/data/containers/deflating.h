#pragma once

#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdint>
#include <vector>

namespace flexae::test {

/// How zlib is to deflate: see deflateInit2().
struct Deflating {
  int level = 9;
  int memory = 8;
  int strategy = Z_DEFAULT_STRATEGY;
};

/// Raw DEFLATE, as zip files have it.
inline std::vector<uint8_t> deflated(const std::vector<uint8_t>& bytes, const Deflating& how = {}) {
  z_stream stream = {};
  EXPECT_EQ(deflateInit2(&stream, how.level, Z_DEFLATED, -MAX_WBITS, how.memory, how.strategy),
            Z_OK);
  std::vector<uint8_t> packed(deflateBound(&stream, bytes.size()));
  stream.next_in = const_cast<Bytef*>(bytes.data());  // NOLINT: zlib only reads it
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = packed.data();
  stream.avail_out = static_cast<uInt>(packed.size());
  EXPECT_EQ(::deflate(&stream, Z_FINISH), Z_STREAM_END);
  packed.resize(stream.total_out);
  ::deflateEnd(&stream);
  return packed;
}

}  // namespace flexae::test
