#include "core/comm/share.h"

#include <algorithm>

namespace flexae {

Share share_of(int64_t images, int rank, int size) {
  const int64_t each = images / size;
  const int64_t more = images % size;
  return {each + (rank < more ? 1 : 0), rank * each + std::min<int64_t>(rank, more), images};
}

std::vector<int64_t> shares_of(const std::vector<int64_t>& order, int64_t batch_size, int rank,
                               int size) {
  std::vector<int64_t> mine;
  const auto count = static_cast<int64_t>(order.size());
  for (int64_t begin = 0; begin < count; begin += batch_size) {
    const Share share = share_of(std::min(batch_size, count - begin), rank, size);
    const auto from = order.begin() + begin + share.first;
    mine.insert(mine.end(), from, from + share.images);
  }
  return mine;
}

}  // namespace flexae
