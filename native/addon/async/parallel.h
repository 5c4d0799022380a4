#pragma once

#include <cstddef>
#include <functional>

namespace flexae::addon {

/// Calls `work` with every number below `count`, on up to `workers` threads (0 chooses by cores),
/// the caller's among them. Rethrows one of the exceptions thrown, after all calls have ended.
void in_parallel(size_t count, int workers, const std::function<void(size_t)>& work);

}  // namespace flexae::addon
