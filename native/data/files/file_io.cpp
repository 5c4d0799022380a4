#include "data/files/file_io.h"

#include <unistd.h>

#include <cerrno>

namespace flexae {

bool read_at(int file, void* to, int64_t size, int64_t offset) {
  auto* bytes = static_cast<char*>(to);
  while (size > 0) {
    const ssize_t count = ::pread(file, bytes, static_cast<size_t>(size), offset);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    bytes += count;
    offset += count;
    size -= count;
  }
  return true;
}

int write_at(int file, const void* from, int64_t size, int64_t offset) {
  const auto* bytes = static_cast<const char*>(from);
  while (size > 0) {
    const ssize_t count = ::pwrite(file, bytes, static_cast<size_t>(size), offset);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno;
    if (count == 0) return EIO;
    bytes += count;
    offset += count;
    size -= count;
  }
  return 0;
}

}  // namespace flexae
