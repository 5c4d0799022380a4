#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace flexae {

/// Shares the images out over the threads (see parallel_for()) in groups of at most `group`,
/// equally many for each.
void for_each_group(int64_t images, int64_t group,
                    const std::function<void(int64_t first, int64_t count, int thread)>& body);

/// The same one by one.
void for_each_image(int64_t images, const std::function<void(int64_t image, int thread)>& body);

/// The images in parts which threads sum up by themselves, and from which sums over the batch are
/// made in the same order whoever had them: where the parts begin, and the end. Every thread has
/// equally many: most of its share, and where that makes whole groups, two eighths of it for others
/// to take. `sums`: of a part. Many of them have to go through memory, which soon costs more than
/// it brings.
std::vector<int64_t> image_parts(int64_t images, int64_t group, int64_t sums);

}  // namespace flexae
