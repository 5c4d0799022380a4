#include "core/cpu/packed_weight.h"

#include <ATen/Parallel.h>

namespace flexae {

template <typename T>
void PackedWeight<T>::set_all(const T* weight, int64_t channels) {
  std::vector<T> even;
  if (line_ % kValues != 0) {
    // Lines in whole steps.
    even.resize(static_cast<size_t>(channels * rows_ * kValues));
    const int64_t lines = rows_ / steps_;
    for (int64_t i = 0; i < channels * lines; ++i) {
      std::copy_n(weight + i * line_, line_, even.data() + i * steps_ * kValues);
    }
    weight = even.data();
  }
  const Item* rows = reinterpret_cast<const Item*>(weight);
  constexpr int64_t kItemsAThread = 1 << 14;
  at::parallel_for(0, rows_, std::max<int64_t>(kItemsAThread / std::max<int64_t>(channels, 1), 1),
                   [&](int64_t begin, int64_t end) {
                     for (int64_t first = 0; first < channels; first += 2 * lanes_) {
                       const int64_t stride = width(first);
                       transpose(rows + first * rows_ + begin, rows_,
                                 std::min(channels - first, stride), end - begin,
                                 items_.data() + first * rows_ + begin * stride, stride);
                     }
                   });
}

template class PackedWeight<float>;
template class PackedWeight<Bf16>;

}  // namespace flexae
