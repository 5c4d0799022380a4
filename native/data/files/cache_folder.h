#pragma once

#include <cstdint>
#include <string>

#include "core/files/descriptor.h"

namespace flexae {

/// The caches that are kept in all, in bytes; the longest unused are deleted beyond that.
inline constexpr int64_t kCacheLimit = int64_t{64} << 30;

/// Decoded images, by their whole sets.
inline constexpr const char* kDecodedFolder = "decoded";
/// Indexes of containers, and what was unpacked of them.
inline constexpr const char* kContainersFolder = "containers";

/// Where something is kept between runs: the folder of that name in FLEXAE_CACHE, else in the
/// folder flexible-autoencoder of XDG_CACHE_HOME or ~/.cache. "" when none of these is set. Reads
/// the environment, so call it where nobody changes that.
[[nodiscard]] std::string default_cache_folder(const char* name);

/// A cache's file in `folder`. The key is 32 hexadecimal digits.
[[nodiscard]] std::string cache_path(const std::string& folder, const std::string& key);

/// Makes the folder and those above it, for this user alone. Returns why it cannot be written to,
/// "" if it can.
[[nodiscard]] std::string prepare_cache_folder(const std::string& folder);

/// Bytes that may still be written where `folder` is or would be; 0 if that cannot be told.
[[nodiscard]] int64_t free_disk_bytes(const std::string& folder);

/// A file being written, named by `path`; it holds an exclusive lock, which tells others that it
/// is not left over. On failure the handle and the path are empty and errno is set.
[[nodiscard]] Descriptor create_temporary(const std::string& folder, const std::string& key,
                                          std::string& path);

/// Deletes caches, the longest unused first, until those left and `coming` bytes are within
/// `limit`, and files that a process which ended early was writing. Touches only files that this
/// program made, none that a living process uses, and not `keep`.
void trim_cache_folder(const std::string& folder, int64_t coming, const std::string& keep = "",
                       int64_t limit = kCacheLimit);

}  // namespace flexae
