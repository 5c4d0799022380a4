#pragma once

#include <cstdint>
#include <functional>

namespace flexae {

/// Calls body(item, thread) once for each item in [0, count), on all compute threads, each with its
/// own `thread` in [0, at::get_num_threads()). A thread begins with a stretch of its own, the same
/// one at every call with this count, so that it finds in its cache what it left there. When that
/// is done, it takes the last items of whoever has most of them left: another program or the
/// machine may hold a thread up. So nothing may depend on which thread an item falls to. The
/// first exception is thrown again when all threads are done.
void parallel_for(int64_t count, const std::function<void(int64_t item, int thread)>& body);

}  // namespace flexae
