#include "analysis/point_checks.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>

#include "core/base/error.h"

namespace flexae {

at::Tensor contiguous_rows(const at::Tensor& points, const std::string& what) {
  if (!points.defined() || points.dim() != 2 || points.scalar_type() != at::kFloat ||
      !points.is_cpu() || points.size(0) < 1 || points.size(1) < 1) {
    std::ostringstream found;
    if (points.defined()) {
      found << points.scalar_type() << ' ' << points.sizes() << " on " << points.device();
    } else {
      found << "nothing";
    }
    throw Error(ErrorCode::kData,
                what + " must be N×D numbers of fp32 on the CPU, at least 1×1, but are " +
                    found.str() + ": give one row for each image");
  }
  if (points.size(0) > std::numeric_limits<int32_t>::max()) {
    throw Error(ErrorCode::kData, what + " have " + std::to_string(points.size(0)) +
                                      " rows, more than 2147483647: take a sample of them");
  }
  return points.contiguous();
}

void refuse_row(const float* row, int64_t width, int64_t index, const std::string& what) {
  const auto* bad = std::find_if(row, row + width, [](float v) { return !std::isfinite(v); });
  throw Error(ErrorCode::kData, what + " have a value that is " +
                                    (std::isnan(*bad) ? "NaN" : "infinite") + " in row " +
                                    std::to_string(index) +
                                    ": leave such rows out, or train the model anew");
}

at::Tensor checked_points(const at::Tensor& points, const std::string& what) {
  at::Tensor rows = contiguous_rows(points, what);
  const auto* values = rows.const_data_ptr<float>();
  const int64_t width = rows.size(1);
  for (int64_t i = 0; i < rows.size(0); ++i) {
    const float* row = values + i * width;
    const bool usable = std::all_of(row, row + width, [](float v) { return std::isfinite(v); });
    if (!usable) refuse_row(row, width, i, what);
  }
  return rows;
}

void check_same_width(const at::Tensor& points, const at::Tensor& others,
                      const std::string& what_others) {
  if (points.size(1) == others.size(1)) return;
  throw Error(ErrorCode::kData, what_others + " have " + std::to_string(others.size(1)) +
                                    " values a row, not " + std::to_string(points.size(1)) +
                                    ": embed both with the same model");
}

void check_neighbour_count(int64_t k, int64_t available) {
  if (k < 1) {
    throw Error(ErrorCode::kConfig, "neighbours must be at least 1, not " + std::to_string(k));
  }
  if (k > available) {
    throw Error(ErrorCode::kConfig, std::to_string(k) + " neighbours are more than the " +
                                        std::to_string(available) +
                                        " that there are: ask for fewer, or give more points");
  }
}

}  // namespace flexae
