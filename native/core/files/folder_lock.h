#pragma once

#include <string>

namespace flexae {

/// Holds a folder against other processes that ask for it too, until it is destroyed or its process
/// ends, however that ends: an exclusive flock(2) on the folder itself, which leaves no file
/// behind.
class FolderLock {
 public:
  /// Throws Error(kConfig) if another one holds it, Error(kIo) if the folder cannot be opened.
  /// Where the file system has no locks it holds nothing.
  explicit FolderLock(const std::string& path);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

  /// Whether anyone holds the folder, without getting into the way of those who would: they wait
  /// longer than this takes. True, too, of a folder that cannot be opened.
  [[nodiscard]] static bool is_held(const std::string& path);

 private:
  int descriptor_ = -1;
};

}  // namespace flexae
