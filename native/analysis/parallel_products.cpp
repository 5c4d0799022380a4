#include "analysis/parallel_products.h"

#include <algorithm>

#include "core/base/parallel.h"

namespace flexae {

void parallel_products(int64_t count, const std::function<void(int64_t item, int thread)>& body) {
  parallel_for(std::max<int64_t>(count, 2), [&](int64_t item, int thread) {
    if (item < count) body(item, thread);
  });
}

}  // namespace flexae
