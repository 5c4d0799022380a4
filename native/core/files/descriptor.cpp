#include "core/files/descriptor.h"

namespace flexae {

int64_t read_up_to(int file, void* to, int64_t size, int64_t offset) {
  auto* bytes = static_cast<char*>(to);
  int64_t have = 0;
  while (have < size) {
    const ssize_t count =
        ::pread(file, bytes + have, static_cast<size_t>(size - have), offset + have);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return -errno;
    if (count == 0) break;
    have += count;
  }
  return have;
}

bool read_at(int file, void* to, int64_t size, int64_t offset) {
  return read_up_to(file, to, size, offset) == size;
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
