#pragma once

#include <string>

namespace flexae {

/// An open file that is closed with its owner.
class FileHandle {
 public:
  explicit FileHandle(int descriptor = -1) : descriptor_(descriptor) {}
  ~FileHandle();
  FileHandle(FileHandle&& other) noexcept : descriptor_(other.release()) {}
  FileHandle& operator=(FileHandle&& other) noexcept;

  [[nodiscard]] int get() const { return descriptor_; }
  explicit operator bool() const { return descriptor_ >= 0; }

 private:
  int release() {
    const int descriptor = descriptor_;
    descriptor_ = -1;
    return descriptor;
  }
  int descriptor_;
};

/// Opens a file to read it; never waits for a pipe of that name. Empty, and errno set, if it
/// cannot.
[[nodiscard]] FileHandle open_for_reading(const std::string& path);

/// Why a system call on a file of images failed, such as "no such file" or "permission denied".
/// Throws Error(kIo) where that is not the file's fault.
[[nodiscard]] std::string unreadable(const std::string& path, int error);

}  // namespace flexae
