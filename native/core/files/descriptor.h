#pragma once

#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <utility>

namespace flexae {

/// An open file, closed with its owner.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  ~Descriptor() { close(); }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    if (this != &other) {
      close();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  [[nodiscard]] int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  /// Returns errno, 0 if all is well: some file systems report a failed write only here.
  int close() {
    if (fd_ < 0) return 0;
    const int error = ::close(fd_) == 0 ? 0 : errno;
    fd_ = -1;
    return error;
  }

 private:
  int fd_;
};

/// Reads `size` bytes at `offset`; fewer where the file ends. Returns how many, or −errno.
[[nodiscard]] int64_t read_up_to(int file, void* to, int64_t size, int64_t offset);
/// Whether `size` bytes could be read at `offset`.
[[nodiscard]] bool read_at(int file, void* to, int64_t size, int64_t offset);
/// Returns 0 or errno.
[[nodiscard]] int write_at(int file, const void* from, int64_t size, int64_t offset);

}  // namespace flexae
