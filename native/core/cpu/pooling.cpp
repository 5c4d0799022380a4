#include "core/cpu/pooling.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/cpu/kernels/kernels.h"

namespace flexae {

int64_t RowPooling::rows_under(int64_t row) const {
  return std::min<int64_t>(2, in_.h - 2 * row);
}

int64_t RowPooling::columns_under(int64_t x) const {
  return std::min<int64_t>(2, in_.w - 2 * x);
}

int64_t RowPooling::whole_pixels(int64_t row) const {
  return rows_under(row) == 2 ? in_.w / 2 : 0;
}

bool RowPooling::averages_whole(int64_t row) const {
  return kind_ == Pooling::kAvg && rows_under(row) == 2 && in_.w % 2 == 0 &&
         in_.c % kernels().lanes == 0;
}

void RowPooling::forward(const float* lines, int64_t row, float* out, uint8_t* argmax) const {
  if (kind_ == Pooling::kAvg) {
    average(lines, row, out);
  } else {
    maximum(lines, row, out, argmax);
  }
}

void RowPooling::average(const float* lines, int64_t row, float* out) const {
  const int64_t c = in_.c;
  const int64_t line = in_.w * c;
  const int64_t h = rows_under(row);
  const int64_t full = whole_pixels(row);
  kernels().pooling.average_rows(lines, lines + line, out, full, c, 0.25F);
  for (int64_t x = full; x < out_.w; ++x) {
    const int64_t w = columns_under(x);
    for (int64_t i = 0; i < c; ++i) {
      float sum = 0;
      for (int64_t dy = 0; dy < h; ++dy) {
        for (int64_t dx = 0; dx < w; ++dx) sum += lines[dy * line + (2 * x + dx) * c + i];
      }
      out[x * c + i] = sum / static_cast<float>(h * w);
    }
  }
}

void RowPooling::maximum(const float* lines, int64_t row, float* out, uint8_t* argmax) const {
  const int64_t c = in_.c;
  const int64_t line = in_.w * c;
  const int64_t full = whole_pixels(row);
  kernels().pooling.maximum_rows(lines, lines + line, out, argmax, full, c);
  for (int64_t x = full; x < out_.w; ++x) {
    for (int64_t i = 0; i < c; ++i) {
      float best = -std::numeric_limits<float>::infinity();
      uint8_t which = 0;
      for (int64_t dy = 0; dy < rows_under(row); ++dy) {
        for (int64_t dx = 0; dx < columns_under(x); ++dx) {
          const float value = lines[dy * line + (2 * x + dx) * c + i];
          // The first of equals wins, and NaN goes through, as in PyTorch.
          if (value > best || std::isnan(value)) {
            best = value;
            which = static_cast<uint8_t>(2 * dy + dx);
          }
        }
      }
      out[x * c + i] = best;
      if (argmax != nullptr) argmax[x * c + i] = which;
    }
  }
}

template <typename T>
void RowPooling::backward(const T* grad, int64_t row, T* lines, const uint8_t* argmax) const {
  const int64_t c = in_.c;
  const int64_t line = in_.w * c;
  const int64_t h = rows_under(row);
  const int64_t full = whole_pixels(row);
  if (kind_ == Pooling::kAvg) {
    kernels_of<T>().unpooling.spread_rows(grad, lines, lines + line, full, c);
    std::vector<float> part(static_cast<size_t>(full < out_.w ? c : 0));
    for (int64_t x = full; x < out_.w; ++x) {
      const int64_t w = columns_under(x);
      const float weight = 1.0F / static_cast<float>(h * w);
      for (int64_t i = 0; i < c; ++i) {
        part[static_cast<size_t>(i)] = widened(grad[x * c + i]) * weight;
      }
      for (int64_t d = 0; d < h * w; ++d) {
        kernels_of<T>().elementwise.store(part.data(), lines + (d / w) * line + (2 * x + d % w) * c,
                                          c);
      }
    }
    return;
  }
  kernels_of<T>().unpooling.scatter_rows(grad, argmax, lines, lines + line, full, c);
  for (int64_t dy = 0; dy < h; ++dy) {
    std::fill_n(lines + dy * line + 2 * full * c, line - 2 * full * c, T{});
  }
  for (int64_t x = full; x < out_.w; ++x) {
    for (int64_t i = 0; i < c; ++i) {
      const int64_t which = argmax[x * c + i];
      lines[(which / 2) * line + (2 * x + which % 2) * c + i] = grad[x * c + i];
    }
  }
}

template void RowPooling::backward(const float*, int64_t, float*, const uint8_t*) const;
template void RowPooling::backward(const Bf16*, int64_t, Bf16*, const uint8_t*) const;

}  // namespace flexae
