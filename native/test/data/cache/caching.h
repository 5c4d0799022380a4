#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "data/cache/disk_store.h"
#include "data/image_store.h"
#include "test/data/support.h"

namespace flexae::test {

using Pixels = std::vector<uint8_t>;

/// The real store of files, its loads counted.
class CountingStore : public FileStore {
 public:
  CountingStore(std::vector<std::string> files, const DecodeSpec& spec, std::atomic<int>& loads)
      : FileStore(std::move(files), spec), loads_(loads) {}
  std::optional<std::string> load(int64_t index, uint8_t* out) override {
    ++loads_;
    return FileStore::load(index, out);
  }

 private:
  std::atomic<int>& loads_;
};

/// A few image files, one of them spoilt, and a folder for their cache.
class CacheTest : public ::testing::Test {
 protected:
  static constexpr int kImages = 9;

  CacheTest() {
    for (int i = 0; i < kImages; ++i) {
      files.push_back(images_.file("image" + std::to_string(i) + ".png"));
      write_image(files.back());
    }
    // One that is no image.
    write_bytes(files[4], {1, 2, 3});
  }

  void write_image(const std::string& path) {
    write_bytes(path, encode(".png", noise(21, 17, 3, random_)));
  }

  std::unique_ptr<ImageStore> source() {
    return std::make_unique<CountingStore>(files, spec, decoded);
  }

  DiskStore::Note note() {
    return [this](const std::string& message) {
      const std::lock_guard lock(notes_mutex_);
      notes.push_back(message);
    };
  }

  std::unique_ptr<DiskStore> open() {
    return std::make_unique<DiskStore>(source(), folder.string(), note());
  }

  /// Loads all images and checks each against its file as decoded without any store.
  void check(ImageStore& store) {
    for (int64_t i = 0; i < store.size(); ++i) {
      const std::string& path = files[static_cast<size_t>(i)];
      Pixels right(static_cast<size_t>(spec.bytes()));
      const auto why = decode_file(path, spec, right.data());
      Pixels loaded(right.size());
      ASSERT_EQ(store.load(i, loaded.data()), why) << path;
      if (!why) {
        ASSERT_EQ(loaded, right) << path;
      }
    }
  }

  /// One run that loads everything once; how many files it decoded.
  int run() {
    decoded = 0;
    const auto store = open();
    EXPECT_TRUE(store->begin());
    check(*store);
    return decoded;
  }

  std::vector<std::string> cached() {
    std::vector<std::string> paths;
    if (std::filesystem::exists(folder)) {
      for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        paths.push_back(entry.path().string());
      }
    }
    std::sort(paths.begin(), paths.end());
    return paths;
  }

  DecodeSpec spec{12, 10, 3, Interpolation::kArea};
  std::vector<std::string> files;
  std::atomic<int> decoded = 0;
  std::vector<std::string> notes;

 private:
  TempFolder images_;
  TempFolder cache_;
  Random random_;
  std::mutex notes_mutex_;

 protected:
  std::filesystem::path folder = cache_.path() / "a" / "decoded";
};

}  // namespace flexae::test
