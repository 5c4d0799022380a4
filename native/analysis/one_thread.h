#pragma once

#include <cstdint>
#include <functional>

#include "core/base/parallel.h"

namespace flexae {

/// Computes `body` on one of libtorch's threads, where products and decompositions have no threads
/// of their own: what they divide among threads, they add up in another order for each number.
inline void on_one_thread(const std::function<void()>& body) {
  // Of a single item no parallel region is made.
  parallel_for(2, [&](int64_t item, int) {
    if (item == 0) body();
  });
}

}  // namespace flexae
