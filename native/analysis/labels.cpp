#include "analysis/labels.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <string>

#include "core/base/error.h"

namespace flexae {

DenseLabels read_labels(const at::Tensor& labels, const char* name, int64_t count) {
  if (!labels.defined() || labels.dim() != 1 || labels.size(0) != count || !labels.is_cpu() ||
      !at::isIntegralType(labels.scalar_type(), /*includeBool=*/false)) {
    throw Error(ErrorCode::kData, std::string(name) + " must be " + std::to_string(count) +
                                      " integers in memory, one for each image");
  }
  const at::Tensor wide = labels.to(at::kLong).contiguous();
  const auto* values = wide.const_data_ptr<int64_t>();
  std::vector<int64_t> known(values, values + count);
  std::sort(known.begin(), known.end());
  known.erase(std::unique(known.begin(), known.end()), known.end());
  DenseLabels dense{std::vector<int32_t>(static_cast<size_t>(count)),
                    std::vector<int64_t>(known.size())};
  for (size_t i = 0; i < dense.labels.size(); ++i) {
    const auto place = std::lower_bound(known.begin(), known.end(), values[i]) - known.begin();
    dense.labels[i] = static_cast<int32_t>(place);
    ++dense.counts[static_cast<size_t>(place)];
  }
  return dense;
}

}  // namespace flexae
