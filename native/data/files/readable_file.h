#pragma once

#include <string>

#include "core/files/descriptor.h"

namespace flexae {

/// Opens a file to read it; never waits for a pipe of that name. Empty, and errno set, if it
/// cannot.
[[nodiscard]] Descriptor open_for_reading(const std::string& path);

/// Why a system call on a file of images failed, such as "no such file" or "permission denied".
/// Throws Error(kIo) where that is not the file's fault.
[[nodiscard]] std::string unreadable(const std::string& path, int error);

}  // namespace flexae
