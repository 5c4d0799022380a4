/// The index of a container that a stranger left in the cache. The first byte says how the rest is
/// to be read: 0 as the whole file; else as one to which the right magic, key, size and hashes are
/// put.
#include <stdlib.h>  // NOLINT(modernize-deprecated-headers): mkdtemp is POSIX's

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include "data/containers/container.h"
#include "data/containers/container_file.h"
#include "data/files/cache_folder.h"
#include "data/files/hash.h"

namespace {

const std::string kKey = "0123456789abcdef0123456789abcdef";
constexpr size_t kHeader = 136;
constexpr size_t kMostRead = 64;

/// A folder in memory where there is one, removed at the end, with a file that has members.
class Folder {
 public:
  Folder() {
    path_ = std::filesystem::exists("/dev/shm") ? "/dev/shm" : "/tmp";
    path_ += "/flexae-fuzz-XXXXXX";
    if (mkdtemp(path_.data()) == nullptr) std::abort();
    // Raw DEFLATE of 300 times "a" begins it; then there is what begins like an image.
    const std::vector<uint8_t> deflated{0x4b, 0x4c, 0x1c, 0x05, 0xa3, 0x60, 0x14, 0x0c, 0x77, 0x00};
    std::vector<uint8_t> bytes(2048, 'b');
    std::copy(deflated.begin(), deflated.end(), bytes.begin());
    std::memcpy(&bytes[1024], "P5 4 4 255\n", 11);
    write(place(), bytes);
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string place() const { return path_ + "/container"; }

  static void write(const std::string& path, std::span<const uint8_t> bytes) {
    std::ofstream stream(path, std::ios::binary | std::ios::trunc);
    stream.write(reinterpret_cast<const char*>(bytes.data()),
                 static_cast<std::streamsize>(bytes.size()));
    if (!stream) std::abort();
  }

 private:
  std::string path_;
};

void put(std::vector<uint8_t>& bytes, size_t at, uint64_t value) {
  std::memcpy(&bytes[at], &value, sizeof value);
}

/// The fields that no chance gets right; see native/data/containers/index_file.cpp.
void complete(std::vector<uint8_t>& bytes) {
  if (bytes.size() < kHeader) return;
  std::memcpy(bytes.data(), "FLXINDEX\1\0\0\0", 12);
  std::copy(kKey.begin(), kKey.end(), bytes.begin() + 16);
  put(bytes, 112, bytes.size());
  uint64_t index_offset = 0;
  std::memcpy(&index_offset, &bytes[72], sizeof index_offset);
  if (index_offset <= bytes.size()) {
    put(bytes, 120, flexae::xxh64(std::span(bytes).subspan(index_offset)));
  }
  put(bytes, 128, flexae::xxh64(std::span(bytes).first(128)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Folder kFolder;
  if (size == 0) return 0;
  std::vector<uint8_t> bytes(data + 1, data + size);
  if (data[0] != 0) complete(bytes);
  Folder::write(flexae::cache_path(kFolder.path(), kKey), bytes);
  const auto container = flexae::open_container(kFolder.place(), kFolder.path(), kKey);
  if (!container) return 0;
  const flexae::ContainerIndex& index = container->index();
  static_cast<void>(index.find("not there"));
  flexae::ByteBuffer buffer;
  for (size_t i = 0; i < std::min(index.members().size(), kMostRead); ++i) {
    static_cast<void>(index.find(index.name(i)));
    std::span<const uint8_t> image;
    const auto reason = container->read(i, buffer, image);
    if (!reason && image.empty()) std::abort();
    // Every byte counts to the sanitizers.
    uint8_t sum = 0;
    if (!reason) {
      for (const uint8_t byte : image) sum ^= byte;
    }
    if (reason && reason->empty()) std::abort();
    static_cast<void>(sum);
  }
  return 0;
}
