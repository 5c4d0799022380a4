#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace flexae {

/// Writes the pieces, one after the other, to `path` so that at every instant the path holds the
/// whole old file or the whole new one: a temporary file beside it, synced, renamed, folder synced.
/// `links` are further names of the same contents, given before `path` is: hard links where the
/// file system has them, else files of their own. Throws Error(kIo) naming the path and the
/// system's reason; the old file at `path` is then untouched.
void write_file_atomic(const std::string& path,
                       const std::vector<std::span<const std::byte>>& pieces,
                       const std::vector<std::string>& links = {});

/// Gives the file `path` the further name `link` in one step, replacing what had that name. False
/// if `path` does not exist or the file system has no hard links. Throws Error(kIo).
bool link_file_atomic(const std::string& path, const std::string& link);

/// Reads a whole file. Throws Error(kIo).
std::string read_file(const std::string& path);

}  // namespace flexae
