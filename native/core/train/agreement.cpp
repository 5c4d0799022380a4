#include "core/train/agreement.h"

#include <ATen/ATen.h>

namespace flexae {

Agreement agree(Communicator& communicator, int64_t images, bool is_cancelled,
                bool is_time_to_save) {
  if (communicator.is_alone()) return {images, is_cancelled, is_time_to_save};
  const int64_t size = communicator.size();
  const at::Tensor told = at::zeros({size + 2}, at::kLong);
  auto* values = told.mutable_data_ptr<int64_t>();
  values[communicator.rank()] = images;
  values[size] = is_cancelled ? 1 : 0;
  values[size + 1] = is_time_to_save && communicator.rank() == 0 ? 1 : 0;
  communicator.sum(told);
  int64_t first = 0;
  int64_t whole = 0;
  for (int64_t i = 0; i < size; ++i) {
    if (i == communicator.rank()) first = whole;
    whole += values[i];
  }
  return {{images, first, whole}, values[size] > 0, values[size + 1] > 0};
}

}  // namespace flexae
