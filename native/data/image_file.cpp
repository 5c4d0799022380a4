#include "data/image_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <new>

#include "core/files/descriptor.h"
#include "data/files/readable_file.h"
#include "data/formats/image_header.h"

namespace flexae {
namespace {

// Reads up to `size` bytes; `got` is how many there were. One read, unless a signal or the file
// system cuts it short. Returns 0 or errno.
int read_up_to(int file, uint8_t* to, size_t size, size_t& got) {
  got = 0;
  while (got < size) {
    const ssize_t count = ::pread(file, to + got, size - got, static_cast<off_t>(got));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno;
    if (count == 0) break;
    got += static_cast<size_t>(count);
  }
  return 0;
}

}  // namespace

std::optional<std::string> read_image_file(const std::string& path, ByteBuffer& buffer,
                                           std::span<const uint8_t>& bytes) {
  if (const auto found = find_member(path)) {
    return found->container->read(found->member, buffer, bytes);
  }
  const Descriptor file = open_for_reading(path);
  if (!file) return unreadable(path, errno);
  struct stat info = {};
  if (::fstat(file.get(), &info) != 0) return unreadable(path, errno);
  if (S_ISDIR(info.st_mode)) return "is a folder";
  if (!S_ISREG(info.st_mode)) return "not a regular file";
  if (info.st_size == 0) return "empty file";
  if (info.st_size > INT_MAX) return "file too large";
  const auto size = static_cast<size_t>(info.st_size);
  size_t got = 0;
  // No memory is taken for a large file before it looks like an image.
  constexpr size_t kLarge = size_t{1} << 20;
  if (size > kLarge) {
    std::array<uint8_t, 64> start{};
    if (const int error = read_up_to(file.get(), start.data(), start.size(), got)) {
      return unreadable(path, error);
    }
    if (!image_format({start.data(), got})) return read_image_header({start.data(), got}).reason;
  }
  uint8_t* memory = nullptr;
  try {
    memory = buffer.bytes(size);
  } catch (const std::bad_alloc&) {
    return "not enough memory to read it";
  }
  if (const int error = read_up_to(file.get(), memory, size, got)) {
    return unreadable(path, error);
  }
  bytes = {memory, got};
  return std::nullopt;
}

FileStamp stamp_of(const std::string& path) {
  if (const auto found = find_member(path)) return found->container->stamp(found->member);
  return file_stamp(path);
}

}  // namespace flexae
