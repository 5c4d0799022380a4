#include "data/files/path_list.h"

namespace flexae {

void PathList::add(std::string_view path) {
  // With the slash, so that a path is both parts in a row.
  const size_t name = path.rfind('/') + 1;
  const std::string_view folder = path.substr(0, name);
  const bool is_same = !folders_.empty() && folder_names_[folders_.back()] == folder;
  uint32_t number = is_same ? folders_.back() : 0;
  if (!is_same) {
    const auto [found, is_new] =
        known_.try_emplace(std::string(folder), static_cast<uint32_t>(folder_names_.size()));
    if (is_new) folder_names_.emplace_back(folder);
    number = found->second;
  }
  folders_.push_back(number);
  names_ += path.substr(name);
  ends_.push_back(names_.size());
}

std::string PathList::operator[](size_t index) const {
  const uint64_t begin = index == 0 ? 0 : ends_[index - 1];
  std::string path = folder_names_[folders_[index]];
  path.append(names_, begin, ends_[index] - begin);
  return path;
}

}  // namespace flexae
