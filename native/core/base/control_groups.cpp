#include "core/base/control_groups.h"

#include <fstream>
#include <sstream>

namespace flexae {
namespace {

/// One hierarchy of control groups: where it may be mounted, and this process's group in it.
struct Hierarchy {
  std::vector<std::string> mounts;
  std::string group;
  bool second_version = false;
};

// Lines of /proc/self/cgroup are number:controllers:group; version 2 has no controllers.
std::vector<Hierarchy> hierarchies(std::string_view controller, const std::string& root) {
  std::vector<Hierarchy> found;
  std::ifstream file(root + "/proc/self/cgroup");
  const std::string own = "/sys/fs/cgroup/" + std::string(controller);
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    if (controllers.empty()) {
      found.push_back({{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}, group, true});
      continue;
    }
    std::istringstream names(controllers);
    for (std::string name; std::getline(names, name, ',');) {
      if (name != controller) continue;
      found.push_back({{"/sys/fs/cgroup/" + controllers, own}, group});
    }
  }
  return found;
}

}  // namespace

std::vector<ControlGroup> control_groups(std::string_view controller, const std::string& root) {
  std::vector<ControlGroup> found;
  for (const Hierarchy& hierarchy : hierarchies(controller, root)) {
    for (const std::string& mount : hierarchy.mounts) {
      for (std::string group = hierarchy.group;; group.resize(group.rfind('/'))) {
        found.push_back({root + mount + group, hierarchy.second_version});
        if (group.find('/') == std::string::npos) break;
      }
    }
  }
  return found;
}

}  // namespace flexae
