#include "data/cache/image_cache.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <mutex>
#include <set>
#include <utility>

#include "core/base/control_groups.h"
#include "core/base/error.h"
#include "data/cache/disk_store.h"
#include "data/cache/ram_store.h"
#include "data/files/cache_folder.h"

namespace flexae {
namespace {

constexpr int64_t kHuge = std::numeric_limits<int64_t>::max() / 4;

using Stores = std::vector<std::unique_ptr<ImageStore>>;

/// Bytes of all images, kHuge at most.
int64_t total_bytes(const Stores& sources) {
  double total = 0;
  for (const auto& source : sources) {
    total += static_cast<double>(source->size()) * static_cast<double>(source->spec().bytes());
  }
  return total < static_cast<double>(kHuge) ? static_cast<int64_t>(total) : kHuge;
}

std::string gigabytes(int64_t bytes) {
  const int64_t tenths = bytes / ((int64_t{1} << 30) / 10);
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " GB";
}

void tell(const CacheOptions& options, const std::string& message) {
  if (options.note) options.note(message);
}

CachedStores in_memory(Stores sources, const CacheOptions& options) {
  CachedStores result;
  for (auto& source : sources) {
    try {
      source = std::make_unique<RamStore>(std::move(source));
      result.kind = CacheKind::kRam;
    } catch (const Error& error) {
      tell(options, error.what());
    }
  }
  result.stores = std::move(sources);
  return result;
}

/// On disk, or nowhere if that is refused.
CachedStores on_disk(Stores sources, const CacheOptions& options) {
  const bool chosen = options.kind == CacheKind::kDisk;
  std::vector<std::unique_ptr<DiskStore>> stores;
  int64_t missing = 0;
  for (auto& source : sources) {
    stores.push_back(std::make_unique<DiskStore>(std::move(source), options.folder, options.note));
    if (!stores.back()->reused()) missing += stores.back()->file_bytes();
  }
  bool begin = !options.once;
  if (begin && !chosen && missing > 0) {
    const int64_t free = options.folder.empty() ? 0 : free_disk_bytes(options.folder);
    if (free / 2 < missing) {
      begin = false;
      tell(options,
           "The decoded images (" + gigabytes(missing) +
               ") fit neither in a quarter of the free memory nor twice on the free disk " +
               gigabytes(free) + ": they are decoded anew each epoch.");
    }
  }
  CachedStores result;
  for (auto& store : stores) {
    if (store->reused() || (begin && store->begin())) result.kind = CacheKind::kDisk;
    result.stores.push_back(std::move(store));
  }
  return result;
}

int64_t number_in(const std::string& path) {
  std::ifstream file(path);
  int64_t number = -1;
  // "max" stands for no limit.
  return file >> number ? number : -1;
}

/// What the control groups still allow; kHuge without one that limits.
int64_t group_memory(const std::string& root) {
  int64_t least = kHuge;
  for (const ControlGroup& group : control_groups("memory", root)) {
    const bool second = group.second_version;
    const std::string folder = group.folder + "/memory.";
    const int64_t limit = number_in(folder + (second ? "max" : "limit_in_bytes"));
    const int64_t used = number_in(folder + (second ? "current" : "usage_in_bytes"));
    if (limit >= 0 && used >= 0) least = std::min(least, std::max<int64_t>(limit - used, 0));
  }
  return least;
}

/// The sets of a training often meet the same trouble.
std::function<void(const std::string&)> once_each(std::function<void(const std::string&)> note) {
  if (!note) return {};
  struct Told {
    std::mutex mutex;
    std::set<std::string> messages;
  };
  return [note = std::move(note), told = std::make_shared<Told>()](const std::string& message) {
    {
      const std::lock_guard lock(told->mutex);
      if (!told->messages.insert(message).second) return;
    }
    note(message);
  };
}

}  // namespace

CacheKind cache_kind_from_name(const std::string& name) {
  for (const CacheKind kind :
       {CacheKind::kAuto, CacheKind::kRam, CacheKind::kDisk, CacheKind::kNone}) {
    if (name == cache_kind_name(kind)) return kind;
  }
  throw Error(ErrorCode::kConfig,
              "Expected auto, ram, disk or none for cache but received '" + name + "'");
}

const char* cache_kind_name(CacheKind kind) {
  switch (kind) {
    case CacheKind::kAuto:
      return "auto";
    case CacheKind::kRam:
      return "ram";
    case CacheKind::kDisk:
      return "disk";
    case CacheKind::kNone:
      return "none";
  }
  return "";
}

CachedStores keep_decoded(Stores sources, const CacheOptions& given) {
  CacheOptions options = given;
  options.note = once_each(given.note);
  const int64_t bytes = total_bytes(sources);
  if (sources.empty() || options.kind == CacheKind::kNone || bytes >= kHuge) {
    return {std::move(sources), CacheKind::kNone};
  }
  if (options.kind == CacheKind::kDisk) return on_disk(std::move(sources), options);
  const int64_t free = available_memory();
  if (options.kind == CacheKind::kRam) {
    if (options.once) return {std::move(sources), CacheKind::kNone};
    if (bytes > free) {
      tell(options, "The decoded images take " + gigabytes(bytes) + " but only " + gigabytes(free) +
                        " of memory are free: they are decoded anew each epoch.\n" +
                        "Use --cache disk, or smaller images.");
      return {std::move(sources), CacheKind::kNone};
    }
    return in_memory(std::move(sources), options);
  }
  if (bytes <= free / 4 && !options.once) return in_memory(std::move(sources), options);
  return on_disk(std::move(sources), options);
}

int64_t available_memory(const std::string& root) {
  std::ifstream file(root + "/proc/meminfo");
  std::string name;
  int64_t kilobytes = 0;
  for (std::string line; file >> name >> kilobytes; std::getline(file, line)) {
    if (name == "MemAvailable:") return std::min(kilobytes * 1024, group_memory(root));
  }
  return 0;
}

}  // namespace flexae
