#include "data/decode.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "test/data/decoding.h"
#include "test/data/support.h"

namespace flexae {
namespace {

using test::decode;
using test::Decoded;
using test::kImages;
using test::put;
using test::reason;

TEST(Decode, SaysWhyBytesAreNoImage) {
  EXPECT_EQ(reason({}), "empty file");
  EXPECT_EQ(reason({'h', 'e', 'l', 'l', 'o'}), "not an image");
  EXPECT_EQ(reason(test::read_bytes(kImages + "gif.png")), "GIF is not supported");
  EXPECT_EQ(reason(test::read_bytes(kImages + "animated.webp")), "animated WebP is not supported");
  EXPECT_EQ(reason(test::read_bytes(kImages + "float.tif")),
            "corrupt or unsupported TIFF (floating-point samples)");
  std::vector<uint8_t> cut = test::read_bytes(kImages + "color.jpg");
  cut.resize(cut.size() - 2);
  EXPECT_EQ(reason(cut), "truncated");
  std::vector<uint8_t> flipped = test::read_bytes(kImages + "color.png");
  flipped[flipped.size() / 2] ^= 1;
  EXPECT_EQ(reason(flipped), "corrupt PNG (checksum)");
}

TEST(Decode, BytesAfterTheEndOfAPictureDoNotMatter) {
  for (const char* name : {"color.jpg", "color.png", "color.ppm", "color.bmp"}) {
    std::vector<uint8_t> bytes = test::read_bytes(kImages + name);
    const Decoded before = decode(bytes, {16, 24, 3, Interpolation::kArea});
    bytes.insert(bytes.end(), 1000, 0xff);
    const Decoded after = decode(bytes, {16, 24, 3, Interpolation::kArea});
    ASSERT_FALSE(after.reason) << name << ": " << *after.reason;
    EXPECT_EQ(before.pixels, after.pixels) << name;
  }
}

TEST(Decode, StderrIsQuietForBadImagesAlone) {
  testing::internal::CaptureStderr();
  std::thread([] {
    for (int i = 0; i < 200; ++i)
      static_cast<void>(reason(test::read_bytes(kImages + "float.tif")));
  }).join();
  std::cerr << "something" << ' ' << 5 << '\n';
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "something 5\n");
}

uint32_t crc32(const uint8_t* at, size_t size) {
  uint32_t crc = ~0U;
  for (size_t i = 0; i < size; ++i) {
    crc ^= at[i];
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (0xedb88320U & (0U - (crc & 1)));
  }
  return ~crc;
}

/// Files of a few hundred bytes that claim 16383×16383 pixels or more.
std::vector<std::pair<std::string, std::vector<uint8_t>>> boasts() {
  std::vector<std::pair<std::string, std::vector<uint8_t>>> files;
  const auto add = [&](const std::string& name) -> std::vector<uint8_t>& {
    return files.emplace_back(name, test::read_bytes(kImages + name)).second;
  };
  for (const char* name : {"color.jpg", "progressive.jpg"}) {
    auto& jpeg = add(name);
    for (size_t i = 2; i + 9 < jpeg.size(); i += 2 + (jpeg[i + 2] << 8) + jpeg[i + 3]) {
      if (jpeg[i + 1] != 0xc0 && jpeg[i + 1] != 0xc2) continue;
      put(jpeg, i + 5, {0xff, 0xff, 0xff, 0xff});
      break;
    }
  }
  for (const char* name : {"color.png", "gray.png", "palette.png"}) {
    auto& png = add(name);
    put(png, 16, {0, 0, 0x40, 0, 0, 0, 0x40, 0});
    const uint32_t crc = crc32(png.data() + 12, 17);
    put(png, 29,
        {static_cast<int>(crc >> 24), static_cast<int>(crc >> 16 & 255),
         static_cast<int>(crc >> 8 & 255), static_cast<int>(crc & 255)});
  }
  // Run lengths of which a few make a whole picture.
  auto& bmp = add("palette.bmp");
  put(bmp, 18, {0, 0x40, 0, 0, 0, 0x40, 0, 0});
  put(bmp, 30, {1});
  // Each of these says it in another place; no WebP can say more.
  put(add("lossy.webp"), 26, {0xff, 0x3f, 0xff, 0x3f});
  auto& lossless = add("alpha.webp");
  put(lossless, 21, {0xff, 0xff, 0xff, lossless[24] | 0x0f});
  put(add("turned6.webp"), 24, {0xff, 0x3f, 0, 0xff, 0x3f, 0});
  // The first two entries, width and height, as LONG.
  put(add("gray.tif"), 0, {});
  auto& tiff = files.back().second;
  const size_t directory = tiff[4] | tiff[5] << 8 | tiff[6] << 16;
  for (size_t i = 0; i < 2; ++i) {
    const size_t entry = directory + 2 + 12 * i;
    EXPECT_EQ(tiff[entry], i);  // tags 256 and 257
    put(tiff, entry + 2, {4, 0, 1, 0, 0, 0, 0, 0x40, 0, 0});
  }
  return files;
}

/// The most address space this process has had, in kilobytes.
long peak_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    long kilobytes = 0;
    if (word == "VmPeak:" && status >> kilobytes) return kilobytes;
  }
  return -1;
}

/// Prints why an image is refused, and whether that took memory; ends the process.
[[noreturn]] void tell_and_exit(const std::vector<uint8_t>& bytes, int64_t max_pixels) {
  static_cast<void>(reason({1}));
  const long before = peak_memory();
  DecodeSpec spec{16, 24, 3, Interpolation::kArea};
  spec.max_pixels = max_pixels;
  const std::string why = decode(bytes, spec).reason.value_or("it was taken");
  const bool quiet = peak_memory() - before < 16 << 10;
  std::fprintf(stderr, "%s, %s\n", why.c_str(), quiet ? "no memory" : "memory");
  std::exit(0);
}

TEST(Decode, BoastsAreRefusedBeforeMemoryIsTaken) {
  for (const auto& [name, bytes] : boasts()) {
    // In a process of its own, so that the peak is this image's.
    EXPECT_EXIT(tell_and_exit(bytes, 268'000'000), testing::ExitedWithCode(0),
                "too many pixels .*; --max-pixels is 268000000.*, no memory")
        << name;
  }
}

// What the fuzzer found.
TEST(Decode, InputsThatOnceDidHarmDoNoMore) {
  const std::string folder = std::string(FLEXAE_FIXTURES) + "/../../native/fuzz/seeds/image";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const auto bytes = test::read_bytes(entry.path().string());
    EXPECT_EXIT(tell_and_exit(bytes, 1 << 16), testing::ExitedWithCode(0), ", no memory\n")
        << entry.path();
  }
}

TEST(Decode, TheLimitIsOnPixelsAndOfTheUsersChoice) {
  DecodeSpec spec{16, 24, 3, Interpolation::kArea};
  for (const char* name : {"color.jpg", "color.png", "color.bmp", "color.tif", "lossy.webp",
                           "alpha.webp", "color.ppm", "big.tif"}) {
    const auto bytes = test::read_bytes(kImages + name);
    spec.max_pixels = 24 * 16 - 1;
    EXPECT_EQ(decode(bytes, spec).reason, "too many pixels (24×16 = 384; --max-pixels is 383)")
        << name;
    spec.max_pixels = 24 * 16;
    EXPECT_EQ(decode(bytes, spec).reason, std::nullopt) << name;
  }
  const std::string huge = "P5 1000000000 1000000000 255\n";
  EXPECT_EQ(reason({huge.begin(), huge.end()}), "truncated");
}

TEST(Decode, OutputIsUntouchedOnFailure) {
  std::vector<uint8_t> pixels(16 * 24, 77);
  std::vector<uint8_t> cut = test::read_bytes(kImages + "gray.png");
  cut.resize(cut.size() / 2);
  ASSERT_TRUE(decode_bytes(cut, {16, 24, 1, Interpolation::kArea}, pixels.data()));
  EXPECT_EQ(pixels, std::vector<uint8_t>(16 * 24, 77));
}

}  // namespace
}  // namespace flexae
