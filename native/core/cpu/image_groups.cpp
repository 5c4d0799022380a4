#include "core/cpu/image_groups.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "core/base/math.h"
#include "core/base/parallel.h"

namespace flexae {

void for_each_group(int64_t images, int64_t group,
                    const std::function<void(int64_t first, int64_t count, int thread)>& body) {
  const auto threads = static_cast<int64_t>(at::get_num_threads());
  const int64_t groups = std::min(ceil_div(ceil_div(images, threads), group) * threads, images);
  parallel_for(groups, [&](int64_t i, int thread) {
    const int64_t first = i * images / groups;
    body(first, (i + 1) * images / groups - first, thread);
  });
}

void for_each_image(int64_t images, const std::function<void(int64_t image, int thread)>& body) {
  for_each_group(images, 1, [&](int64_t n, int64_t, int thread) { body(n, thread); });
}

std::vector<int64_t> image_parts(int64_t images, int64_t group, int64_t sums) {
  constexpr int64_t kFewSums = 1 << 18;
  const auto threads = static_cast<int64_t>(at::get_num_threads());
  const int64_t share = ceil_div(images, threads);
  std::vector<int64_t> begins;
  for (int64_t thread = 0; thread < threads; ++thread) {
    const int64_t begin = thread * images / threads;
    const int64_t end = (thread + 1) * images / threads;
    begins.push_back(begin);
    for (const int64_t rest : {share / 4, share / 8}) {
      if (rest >= group && sums <= kFewSums) begins.push_back(std::max(end - rest, begin));
    }
  }
  begins.push_back(images);
  return begins;
}

}  // namespace flexae
