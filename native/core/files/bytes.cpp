#include "core/files/bytes.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/base/error.h"

namespace flexae {
namespace {

[[noreturn]] void refuse_reading(const std::string& path, int error) {
  throw Error(ErrorCode::kIo, "Cannot read " + path + ": " + std::strerror(error));
}

}  // namespace

size_t MemoryBytes::read(uint64_t position, void* to, size_t count) const {
  if (position >= data_.size()) return 0;
  count = std::min<size_t>(count, data_.size() - position);
  std::memcpy(to, data_.data() + position, count);
  return count;
}

FileBytes::FileBytes(const std::string& path)
    : path_(path), file_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  if (file_.get() < 0) refuse_reading(path, errno);
  struct stat status {};
  if (::fstat(file_.get(), &status) != 0) refuse_reading(path, errno);
  if (S_ISDIR(status.st_mode)) refuse_reading(path, EISDIR);
  size_ = static_cast<size_t>(status.st_size);
}

size_t FileBytes::read(uint64_t position, void* to, size_t count) const {
  if (position >= size_) return 0;
  count = std::min<size_t>(count, size_ - position);
  const int64_t have =
      read_up_to(file_.get(), to, static_cast<int64_t>(count), static_cast<int64_t>(position));
  if (have < 0) refuse_reading(path_, static_cast<int>(-have));
  return static_cast<size_t>(have);
}

}  // namespace flexae
