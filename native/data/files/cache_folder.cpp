#include "data/files/cache_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <tuple>
#include <vector>

namespace flexae {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSuffix = ".images";
constexpr std::string_view kTemporarySuffix = ".tmp";
constexpr size_t kKeyDigits = 32;

bool starts_with_key(std::string_view name) {
  return name.size() > kKeyDigits &&
         std::all_of(name.begin(), name.begin() + kKeyDigits,
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_cache(std::string_view name) {
  return starts_with_key(name) && name.substr(kKeyDigits) == kSuffix;
}

// .KEY.PROCESS-NUMBER.tmp
bool is_temporary(std::string_view name) {
  if (!name.starts_with('.') || !name.ends_with(kTemporarySuffix)) return false;
  name.remove_prefix(1);
  if (!starts_with_key(name) || name[kKeyDigits] != '.') return false;
  name.remove_suffix(kTemporarySuffix.size());
  return std::all_of(name.begin() + kKeyDigits + 1, name.end(),
                     [](char c) { return (c >= '0' && c <= '9') || c == '-'; });
}

// Deletes a file unless a living process has a lock on it.
bool remove_unused(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file || ::flock(file.get(), LOCK_EX | LOCK_NB) != 0) return false;
  return ::unlink(path.c_str()) == 0;
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): see the header
  return value == nullptr ? "" : value;
}

}  // namespace

std::string default_cache_folder(const char* name) {
  std::error_code ignored;
  if (const std::string own = variable("FLEXAE_CACHE"); !own.empty()) {
    return (fs::absolute(own, ignored) / name).string();
  }
  fs::path base = variable("XDG_CACHE_HOME");
  // The specification has relative paths ignored.
  if (!base.is_absolute()) {
    const std::string home = variable("HOME");
    if (home.empty()) return "";
    base = fs::absolute(home, ignored) / ".cache";
  }
  return (base / "flexible-autoencoder" / name).string();
}

std::string cache_path(const std::string& folder, const std::string& key) {
  return (fs::path(folder) / (key + std::string(kSuffix))).string();
}

std::string prepare_cache_folder(const std::string& folder) {
  fs::path made;
  for (const fs::path& part : fs::path(folder)) {
    made /= part;
    if (::mkdir(made.c_str(), 0700) != 0 && errno != EEXIST) {
      const int error = errno;
      // A folder above that may only be read, or lies on a read-only disk, may well be there.
      struct stat info = {};
      if (::stat(made.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
        return std::generic_category().message(error);
      }
    }
  }
  struct stat info = {};
  if (::stat(folder.c_str(), &info) != 0) return std::generic_category().message(errno);
  if (!S_ISDIR(info.st_mode)) return std::generic_category().message(ENOTDIR);
  if (::access(folder.c_str(), W_OK | X_OK) != 0) return std::generic_category().message(errno);
  return "";
}

int64_t free_disk_bytes(const std::string& folder) {
  // The folder may not be there yet.
  for (fs::path path = folder; !path.empty(); path = path.parent_path()) {
    struct statvfs info = {};
    if (::statvfs(path.c_str(), &info) == 0) {
      return static_cast<int64_t>(info.f_bavail) * static_cast<int64_t>(info.f_frsize);
    }
    if (path == path.root_path()) break;
  }
  return 0;
}

Descriptor create_temporary(const std::string& folder, const std::string& key, std::string& path) {
  static std::atomic<unsigned> counter{0};
  constexpr int kTries = 100;
  for (int i = 0; i < kTries; ++i) {
    const std::string name = "." + key + "." + std::to_string(::getpid()) + "-" +
                             std::to_string(counter++) + std::string(kTemporarySuffix);
    path = (fs::path(folder) / name).string();
    Descriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file) {
      // Left over from an earlier process of the same number.
      if (errno == EEXIST) continue;
      path.clear();
      return file;
    }
    // Another process may take it for a left-over one until it is locked; file systems without
    // locks have nothing deleted from them.
    ::flock(file.get(), LOCK_EX);
    struct stat info = {};
    if (::fstat(file.get(), &info) == 0 && info.st_nlink == 0) continue;
    return file;
  }
  path.clear();
  errno = EEXIST;
  return Descriptor();
}

void trim_cache_folder(const std::string& folder, int64_t coming, const std::string& keep,
                       int64_t limit) {
  struct Cache {
    timespec used;
    int64_t bytes;
    std::string path;
  };
  std::vector<Cache> caches;
  int64_t total = coming;
  std::error_code error;
  for (fs::directory_iterator entries(folder, error), end; !error && entries != end;
       entries.increment(error)) {
    const std::string path = entries->path().string();
    const std::string name = entries->path().filename().string();
    if (is_temporary(name)) {
      remove_unused(path);
      continue;
    }
    struct stat info = {};
    if (!is_cache(name) || ::lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
    total += info.st_size;
    if (path != keep) caches.push_back({info.st_mtim, info.st_size, path});
  }
  std::sort(caches.begin(), caches.end(), [](const Cache& a, const Cache& b) {
    return std::tie(a.used.tv_sec, a.used.tv_nsec) < std::tie(b.used.tv_sec, b.used.tv_nsec);
  });
  for (const Cache& cache : caches) {
    if (total <= limit) break;
    if (remove_unused(cache.path)) total -= cache.bytes;
  }
}

}  // namespace flexae
