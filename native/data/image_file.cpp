#include "data/image_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <new>
#include <system_error>

#include "core/base/error.h"
#include "data/formats/image_header.h"

namespace flexae {
namespace {

class File {
 public:
  explicit File(const std::string& path) {
    // O_NONBLOCK, so that a pipe of that name does not hold the thread for ever.
    do {
      descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    } while (descriptor_ < 0 && errno == EINTR);
  }
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  [[nodiscard]] int descriptor() const { return descriptor_; }

 private:
  int descriptor_ = -1;
};

// Why a system call on an image failed; throws when it is not the image's fault.
std::string file_reason(const std::string& path, int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR: {
      struct stat info = {};
      const bool link = ::lstat(path.c_str(), &info) == 0 && S_ISLNK(info.st_mode);
      return link ? "broken link" : "no such file";
    }
    case ELOOP:
      return "link that leads to itself";
    case EACCES:
    case EPERM:
      return "permission denied";
    case EISDIR:
      return "is a folder";
    case EMFILE:
    case ENFILE:
      throw Error(ErrorCode::kIo,
                  "Too many open files to read images. Raise the limit (ulimit -n) or lower the "
                  "number of workers.");
    case ENOMEM:
      throw Error(ErrorCode::kIo,
                  "The system has no memory left to read images. Close other programs.");
    default:
      return "cannot be read: " + std::generic_category().message(error);
  }
}

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
  const File file(path);
  if (file.descriptor() < 0) return file_reason(path, errno);
  struct stat info = {};
  if (::fstat(file.descriptor(), &info) != 0) return file_reason(path, errno);
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
    if (const int error = read_up_to(file.descriptor(), start.data(), start.size(), got)) {
      return file_reason(path, error);
    }
    if (!image_format({start.data(), got})) return read_image_header({start.data(), got}).reason;
  }
  uint8_t* memory = nullptr;
  try {
    memory = buffer.bytes(size);
  } catch (const std::bad_alloc&) {
    return "not enough memory to read it";
  }
  if (const int error = read_up_to(file.descriptor(), memory, size, got)) {
    return file_reason(path, error);
  }
  bytes = {memory, got};
  return std::nullopt;
}

}  // namespace flexae
