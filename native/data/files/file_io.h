#pragma once

#include <cstdint>

namespace flexae {

/// Whether `size` bytes could be read at `offset`.
[[nodiscard]] bool read_at(int file, void* to, int64_t size, int64_t offset);
/// Returns 0 or errno.
[[nodiscard]] int write_at(int file, const void* from, int64_t size, int64_t offset);

}  // namespace flexae
