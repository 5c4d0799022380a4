#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace flexae {

/// Writes the pieces, one after the other, to `path` so that at every instant the path holds the
/// whole old file or the whole new one: a temporary file beside it, synced, renamed, folder synced.
/// Throws Error(kIo) naming the path and the system's reason; the old file is then untouched.
void write_file_atomic(const std::string& path,
                       const std::vector<std::span<const std::byte>>& pieces);

/// Reads a whole file. Throws Error(kIo).
std::string read_file(const std::string& path);

}  // namespace flexae
