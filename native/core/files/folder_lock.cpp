#include "core/files/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "core/base/error.h"

namespace flexae {

namespace {

int open_folder(const std::string& path) {
  return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/// One who only looks holds it for microseconds.
constexpr int kAttempts = 10;
constexpr auto kPause = std::chrono::milliseconds(1);

}  // namespace

FolderLock::FolderLock(const std::string& path) : descriptor_(open_folder(path)) {
  if (descriptor_ < 0) {
    throw Error(ErrorCode::kIo, "Cannot open " + path + ": " + std::strerror(errno));
  }
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (attempt > 0) std::this_thread::sleep_for(kPause);
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
  }
  ::close(descriptor_);
  throw Error(ErrorCode::kConfig,
              path + " is in use: another process trains there.\nWait for its end, or stop it.");
}

FolderLock::~FolderLock() {
  ::close(descriptor_);
}

bool FolderLock::is_held(const std::string& path) {
  const int descriptor = open_folder(path);
  if (descriptor < 0) return true;
  // Shared, so that two who look do not see each other.
  const bool held = ::flock(descriptor, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  ::close(descriptor);
  return held;
}

}  // namespace flexae
