#pragma once

#include <unistd.h>

#include <cerrno>

namespace flexae {

/// An open file, closed when the scope ends.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }
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

}  // namespace flexae
