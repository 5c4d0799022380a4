#pragma once

#include <optional>
#include <string>
#include <string_view>

// Compiled kernels are kept in the user's cache folder (FLEXAE_CACHE, or flexible-autoencoder in
// XDG_CACHE_HOME or ~/.cache), so that a program's first training step compiles nothing.

namespace flexae::cuda {

/// What was kept under `key`, all that a kernel is made from: its source, its macros, the
/// architecture, the compiler's version. Nothing if it is not there, or damaged.
std::optional<std::string> read_cubin(std::string_view key);

/// Keeps a cubin. Where that cannot be done it is not: the next program compiles again.
void keep_cubin(std::string_view key, std::string_view cubin);

}  // namespace flexae::cuda
