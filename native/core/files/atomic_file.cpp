#include "core/files/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "core/base/error.h"
#include "core/files/bytes.h"
#include "core/files/descriptor.h"

namespace flexae {
namespace {

[[noreturn]] void fail(const char* what, const std::string& path, int error) {
  std::string remedy;
  if (error == ENOSPC || error == EDQUOT) remedy = ".\nFree some space and run again.";
  if (error == EACCES || error == EROFS) remedy = ".\nChoose a folder that you may write to.";
  throw Error(ErrorCode::kIo,
              std::string(what) + " " + path + ": " + std::strerror(error) + remedy);
}

int write_all(int fd, const std::vector<std::span<const std::byte>>& pieces) {
  // Linux writes at most about 2 GiB a call.
  constexpr size_t kChunk = size_t{1} << 30;
  for (auto piece : pieces) {
    while (!piece.empty()) {
      const ssize_t written = ::write(fd, piece.data(), std::min(piece.size(), kChunk));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return errno;
      piece = piece.subspan(static_cast<size_t>(written));
    }
  }
  return ::fsync(fd) == 0 ? 0 : errno;
}

/// A name beside `path` that no other process and no other call uses.
std::string temporary_name(const std::string& path) {
  static std::atomic<unsigned> counter{0};
  const std::filesystem::path target(path);
  const std::string name = "." + target.filename().string() + "." + std::to_string(::getpid()) +
                           "-" + std::to_string(counter++) + ".tmp";
  return (target.parent_path() / name).string();
}

/// Writes a new file and syncs it. Leaves nothing behind when it fails.
std::string write_temporary(const std::string& path,
                            const std::vector<std::span<const std::byte>>& pieces) {
  std::string temporary = temporary_name(path);
  Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (file.get() < 0) fail("Cannot write", path, errno);
  int error = write_all(file.get(), pieces);
  if (error == 0) error = file.close();
  if (error != 0) {
    ::unlink(temporary.c_str());
    fail("Cannot write", path, error);
  }
  return temporary;
}

void rename_or_remove(const std::string& temporary, const std::string& path) {
  if (std::rename(temporary.c_str(), path.c_str()) == 0) return;
  const int error = errno;
  ::unlink(temporary.c_str());
  fail("Cannot write", path, error);
}

void sync_folder_of(const std::string& path) {
  const std::filesystem::path parent = std::filesystem::path(path).parent_path();
  const std::string folder = parent.empty() ? "." : parent.string();
  const Descriptor directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // Some file systems cannot sync a folder; the rename is then as durable as they make it.
  if (directory.get() >= 0) ::fsync(directory.get());
}

}  // namespace

bool link_file_atomic(const std::string& path, const std::string& link) {
  const std::string temporary = temporary_name(link);
  if (::link(path.c_str(), temporary.c_str()) != 0) {
    const int error = errno;
    // File systems without hard links, and those whose files have as many as they can.
    for (const int none : {ENOENT, EPERM, ENOTSUP, ENOSYS, EMLINK, EXDEV}) {
      if (error == none) return false;
    }
    fail("Cannot write", link, error);
  }
  rename_or_remove(temporary, link);
  // rename() does nothing, and says so by success, if both names are links to one file.
  ::unlink(temporary.c_str());
  return true;
}

void write_file_atomic(const std::string& path,
                       const std::vector<std::span<const std::byte>>& pieces,
                       const std::vector<std::string>& links) {
  const std::string temporary = write_temporary(path, pieces);
  try {
    for (const std::string& link : links) {
      if (!link_file_atomic(temporary, link)) write_file_atomic(link, pieces);
    }
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  rename_or_remove(temporary, path);
  sync_folder_of(path);
}

std::string read_file(const std::string& path) {
  const FileBytes file(path);
  std::string data(file.size(), '\0');
  data.resize(file.read(0, data.data(), data.size()));
  return data;
}

}  // namespace flexae
