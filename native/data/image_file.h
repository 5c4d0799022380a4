#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace flexae {

/// Memory that is kept from one use to the next, so that pages are not mapped anew each time.
class ByteBuffer {
 public:
  /// Room for `size` bytes; what was in it before is lost. Throws std::bad_alloc.
  uint8_t* bytes(size_t size) {
    if (size > capacity_) {
      release();
      bytes_ = std::make_unique_for_overwrite<uint8_t[]>(size);
      capacity_ = size;
    }
    return bytes_.get();
  }
  [[nodiscard]] size_t capacity() const { return capacity_; }
  void release() {
    bytes_.reset();
    capacity_ = 0;
  }

 private:
  std::unique_ptr<uint8_t[]> bytes_;
  size_t capacity_ = 0;
};

/// Reads the file of an image into `buffer`, and has `bytes` name what it holds. A large file that
/// does not begin like an image is not read.
///
/// Returns why it cannot be read, as decode_file() does, or nothing on success. Throws Error(kIo)
/// when the system is out of file handles or memory.
[[nodiscard]] std::optional<std::string> read_image_file(const std::string& path,
                                                         ByteBuffer& buffer,
                                                         std::span<const uint8_t>& bytes);

}  // namespace flexae
