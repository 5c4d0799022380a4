#include "data/files/readable_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <system_error>

#include "core/base/error.h"

namespace flexae {

Descriptor open_for_reading(const std::string& path) {
  int descriptor = -1;
  do {
    // O_NONBLOCK, so that a pipe of that name does not hold the thread for ever.
    descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  } while (descriptor < 0 && errno == EINTR);
  return Descriptor(descriptor);
}

std::string unreadable(const std::string& path, int error) {
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

}  // namespace flexae
