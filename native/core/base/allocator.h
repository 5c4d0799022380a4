#pragma once

#include <cstdint>

namespace flexae {

/// Lets memory that a training step frees stay with the process for the next step: fresh pages cost
/// more than most of the work done on them. Holds for the whole process; may be called again.
void keep_freed_memory();

/// Lets pieces of a megabyte and more go back to the system as soon as they are freed: for what has
/// large ones for a moment. Does nothing after keep_freed_memory(), whose trainings go first.
void return_large_memory();

/// Gives memory that is free back to the system, which mallocs of small pieces would keep.
void return_freed_memory();

/// Lets libtorch ask for pages of 2 MiB, as the package's loader does. Before its first tensor, and
/// before there are threads: it changes the environment.
void prefer_large_pages();

/// The most memory this process has held at once, in bytes (resident pages).
int64_t peak_memory();

}  // namespace flexae
