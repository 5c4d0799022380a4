#include "data/files/file_stamp.h"

#include <sys/stat.h>

namespace flexae {

FileStamp file_stamp(const std::string& path) {
  struct stat info = {};
  if (::stat(path.c_str(), &info) != 0) return {};
  return {info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec};
}

}  // namespace flexae
