#pragma once

#include <cstdint>

namespace flexae {

/// Lets memory that a training step frees stay with the process for the next step: fresh pages cost
/// more than most of the work done on them. Holds for the whole process; may be called again.
void keep_freed_memory();

/// The most memory this process has held at once, in bytes (resident pages).
int64_t peak_memory();

}  // namespace flexae
