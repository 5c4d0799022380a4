#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace flexae {

/// A folder in which a control group may have its files.
struct ControlGroup {
  std::string folder;
  bool second_version = false;  ///< Whether the files are named as in version 2.
};

/// The control group of this process for a controller, "cpu" or "memory", and those above it up to
/// the root: a limit of any of them binds. Folders need not be there: a container may see its own
/// group as the root while its name is told from outside. Knows versions 1 and 2. `root` stands
/// before /proc and /sys, for tests.
std::vector<ControlGroup> control_groups(std::string_view controller, const std::string& root = "");

}  // namespace flexae
