/// A file of decoded images that a stranger left in the cache. The first byte says how the rest is
/// to be read: 0 as the whole file; else as an index, around which a file with all hashes right is
/// made.
#include <fcntl.h>
#include <stdlib.h>  // NOLINT(modernize-deprecated-headers): mkdtemp is POSIX's
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "data/cache/cache_file.h"
#include "data/cache/disk_store.h"
#include "data/files/cache_folder.h"
#include "data/image_file.h"
#include "data/image_store.h"

namespace {

using flexae::CacheEntry;
using flexae::DecodeSpec;

constexpr int64_t kImages = 3;
const DecodeSpec kSpec{4, 5, 1, flexae::Interpolation::kArea};

/// Three images that are not files, the last of them unusable.
class Images : public flexae::ImageStore {
 public:
  [[nodiscard]] int64_t size() const override { return kImages; }
  [[nodiscard]] const DecodeSpec& spec() const override { return kSpec; }
  [[nodiscard]] std::string name(int64_t index) const override {
    static const std::string kNames[] = {"/no/0.png", "/no/1.png", "/no/2.png"};
    return kNames[index];
  }
  [[nodiscard]] std::optional<std::string> load(int64_t index, uint8_t* out) override {
    if (index == 2) return "empty file";
    std::fill_n(out, kSpec.bytes(), static_cast<uint8_t>(index));
    return std::nullopt;
  }
};

/// A folder in memory where there is one, removed at the end.
class Folder {
 public:
  Folder() {
    path_ = std::filesystem::exists("/dev/shm") ? "/dev/shm" : "/tmp";
    path_ += "/flexae-fuzz-XXXXXX";
    if (mkdtemp(path_.data()) == nullptr) std::abort();
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

void write_index(int file, const std::string& key, std::span<const uint8_t> bytes) {
  flexae::CacheIndex index;
  index.entries.resize(kImages);
  const size_t size = std::min(bytes.size(), kImages * sizeof(CacheEntry));
  if (size > 0) std::memcpy(index.entries.data(), bytes.data(), size);
  bytes = bytes.subspan(size);
  index.reasons.assign(bytes.begin(), bytes.end());
  static_cast<void>(flexae::write_cache_index(file, key, kSpec, index));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Folder kFolder;
  static const std::string kKey = [] {
    const Images images;
    flexae::CacheKey key(kSpec);
    for (int64_t i = 0; i < kImages; ++i) {
      key.add(images.name(i), flexae::stamp_of(images.name(i)));
    }
    return key.text();
  }();
  if (size == 0) return 0;
  const std::string path = flexae::cache_path(kFolder.path(), kKey);
  {
    const flexae::Descriptor file(
        ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!file) std::abort();
    if (data[0] == 0) {
      static_cast<void>(flexae::write_at(file.get(), data + 1, static_cast<int64_t>(size) - 1, 0));
    } else {
      write_index(file.get(), kKey, {data + 1, size - 1});
    }
  }

  flexae::DiskStore store(std::make_unique<Images>(), kFolder.path(), {});
  static_cast<void>(store.begin());
  std::vector<uint8_t> pixels(static_cast<size_t>(kSpec.bytes()));
  for (int round = 0; round < 2; ++round) {
    for (int64_t i = 0; i < kImages; ++i) {
      const auto reason = store.load(i, pixels.data());
      const bool plain = !reason || std::none_of(reason->begin(), reason->end(), [](char c) {
        return static_cast<unsigned char>(c) < 0x20;
      });
      if (!plain) std::abort();
    }
  }
  return 0;
}
