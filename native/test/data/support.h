#pragma once

#include <grp.h>
#include <gtest/gtest.h>
#include <stdlib.h>  // NOLINT(modernize-deprecated-headers): mkdtemp is POSIX's
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>

namespace flexae::test {

/// A folder of its own for one test, removed with all in it.
class TempFolder {
 public:
  TempFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "flexae-test-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = name;
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

/// Root's rights would hide what others meet.
inline void become_nobody() {
  constexpr unsigned kNobody = 65534;
  if (setgroups(0, nullptr) != 0 || setgid(kNobody) != 0 || setuid(kNobody) != 0) _exit(2);
}

inline std::vector<uint8_t> read_bytes(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  EXPECT_TRUE(stream.good()) << path;
  return {std::istreambuf_iterator<char>(stream), {}};
}

inline void write_bytes(const std::string& path, const std::vector<uint8_t>& bytes) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream stream(path, std::ios::binary);
  stream.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
  ASSERT_TRUE(stream.good()) << path;
}

/// A generator whose seed is told when the test fails; FLEXAE_TEST_SEED repeats one.
class Random : public std::mt19937 {
 public:
  Random() : Random(choose_seed()) {}
  [[nodiscard]] const std::string& note() const { return note_; }
  /// In [low, high].
  int between(int low, int high) { return std::uniform_int_distribution<int>(low, high)(*this); }

 private:
  explicit Random(unsigned seed)
      : std::mt19937(seed), note_("FLEXAE_TEST_SEED=" + std::to_string(seed)) {}
  static unsigned choose_seed() {
    const char* wanted = std::getenv("FLEXAE_TEST_SEED");  // NOLINT(concurrency-mt-unsafe)
    return wanted != nullptr ? static_cast<unsigned>(std::stoul(wanted)) : std::random_device{}();
  }
  std::string note_;
};

/// Random pixels of 8 bits.
inline cv::Mat noise(int height, int width, int channels, Random& random) {
  cv::Mat image(height, width, CV_8UC(channels));
  for (size_t i = 0; i < image.total() * image.elemSize(); ++i) {
    image.data[i] = static_cast<uint8_t>(random.between(0, 255));
  }
  return image;
}

inline std::vector<uint8_t> encode(const std::string& extension, const cv::Mat& image,
                                   const std::vector<int>& parameters = {}) {
  std::vector<uint8_t> bytes;
  EXPECT_TRUE(cv::imencode(extension, image, bytes, parameters));
  return bytes;
}

}  // namespace flexae::test
