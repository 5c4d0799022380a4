#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace flexae {

/// Many paths in little memory: each folder once, and of each path its name, about 12 bytes more
/// than that has letters.
class PathList {
 public:
  PathList() = default;
  explicit PathList(const std::vector<std::string>& paths) {
    reserve(paths.size());
    for (const std::string& path : paths) add(path);
  }

  void reserve(size_t paths) {
    folders_.reserve(paths);
    ends_.reserve(paths);
  }
  void add(std::string_view path);
  [[nodiscard]] size_t size() const { return ends_.size(); }
  [[nodiscard]] bool empty() const { return ends_.empty(); }
  [[nodiscard]] std::string operator[](size_t index) const;

 private:
  std::vector<std::string> folder_names_;
  std::unordered_map<std::string, uint32_t> known_;
  std::vector<uint32_t> folders_;
  /// Where each name ends in `names_`; it begins where the one before it ends.
  std::vector<uint64_t> ends_;
  std::string names_;
};

}  // namespace flexae
