#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/files/descriptor.h"

namespace flexae {

/// Bytes that are read from any place: a large file need not be in memory for it.
class Bytes {
 public:
  Bytes() = default;
  Bytes(const Bytes&) = delete;
  Bytes& operator=(const Bytes&) = delete;
  virtual ~Bytes() = default;

  [[nodiscard]] virtual size_t size() const = 0;
  /// Copies `count` bytes from `position` on; fewer where the end comes first. Returns how many.
  virtual size_t read(uint64_t position, void* to, size_t count) const = 0;
};

/// Bytes in memory, which must outlive this.
class MemoryBytes final : public Bytes {
 public:
  explicit MemoryBytes(std::string_view data) : data_(data) {}
  [[nodiscard]] size_t size() const override { return data_.size(); }
  size_t read(uint64_t position, void* to, size_t count) const override;

 private:
  std::string_view data_;
};

/// A file, as long as it was when it was opened. All throw Error(kIo).
class FileBytes final : public Bytes {
 public:
  explicit FileBytes(const std::string& path);
  [[nodiscard]] size_t size() const override { return size_; }
  size_t read(uint64_t position, void* to, size_t count) const override;

 private:
  std::string path_;
  Descriptor file_;
  size_t size_ = 0;
};

}  // namespace flexae
