#pragma once

#include <cstdint>
#include <string>

namespace flexae {

/// What tells that a file is still the one that was read.
struct FileStamp {
  int64_t bytes = -1;  ///< -1: there is no such file
  int64_t seconds = 0;
  int64_t nanoseconds = 0;
  bool operator==(const FileStamp&) const = default;
};
[[nodiscard]] FileStamp file_stamp(const std::string& path);

}  // namespace flexae
