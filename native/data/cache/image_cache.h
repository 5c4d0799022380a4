#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "data/image_store.h"

namespace flexae {

/// Where decoded images are kept.
enum class CacheKind {
  /// In memory when the sets fit in a quarter of what is free; else on disk when that has room for
  /// them twice over or has them already; else nowhere.
  kAuto,
  kRam,
  kDisk,
  kNone,
};

/// auto, ram, disk or none. Throws Error(kConfig) for another name.
[[nodiscard]] CacheKind cache_kind_from_name(const std::string& name);
[[nodiscard]] const char* cache_kind_name(CacheKind kind);

/// Where decoded images may be kept, and who is told of trouble.
struct CacheOptions {
  CacheKind kind = CacheKind::kAuto;
  /// For the files on disk; "" when there is no place for them. See default_cache_folder().
  std::string folder;
  /// Whether the images are read once only: an earlier run's file is then used, but nothing kept.
  bool once = false;
  /// What the user should know, in one or two lines; called from any thread while a store lives.
  std::function<void(const std::string& message)> note = {};
};

/// Sets of images behind their caches.
struct CachedStores {
  /// As given, each behind its cache.
  std::vector<std::unique_ptr<ImageStore>> stores;
  /// What became of it: never kAuto; kNone as well when nothing can be kept.
  CacheKind kind = CacheKind::kNone;
};

/// Puts one kind of cache before the sets of images that a training uses together. Stores name
/// their images by their paths. Never fails for want of a cache: images are then decoded anew at
/// each load, and `note` is told.
[[nodiscard]] CachedStores keep_decoded(std::vector<std::unique_ptr<ImageStore>> sources,
                                        const CacheOptions& options);

/// Bytes of memory that this process may still take: what the system has available, or the least
/// that its control group and those above it leave of their limits. 0 if that cannot be told.
/// `root` stands before /proc and /sys, for tests.
[[nodiscard]] int64_t available_memory(const std::string& root = "");

}  // namespace flexae
