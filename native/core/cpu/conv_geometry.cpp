#include "core/cpu/conv_geometry.h"

#include <cstring>

#include "core/cpu/kernels/kernels.h"

namespace flexae {
namespace {

// A call costs more than these few values.
constexpr int64_t kShort = 16;

}  // namespace

void unfold(const ConvGeometry& w, const Bf16* images, int64_t begin, int64_t end, Bf16* rows) {
  const int64_t count = w.window_line();
  const int64_t line = w.line();
  w.windows().for_each(begin, end, [&](int64_t, int64_t offset) {
    const Bf16* from = images + offset;
    for (int64_t y = 0; y < w.kernel; ++y, from += line, rows += count) {
      if (count > kShort) {
        std::memcpy(rows, from, static_cast<size_t>(count) * sizeof(Bf16));
      } else {
        for (int64_t i = 0; i < count; ++i) rows[i] = from[i];
      }
    }
  });
}

void fold_add(const ConvGeometry& w, const float* rows, int64_t begin, int64_t end, float* images) {
  const auto add = kernels().sums.add;
  const int64_t count = w.window_line();
  const int64_t line = w.line();
  w.windows().for_each(begin, end, [&](int64_t, int64_t offset) {
    float* to = images + offset;
    for (int64_t y = 0; y < w.kernel; ++y, to += line, rows += count) {
      if (count > kShort) {
        add(to, rows, count);
      } else {
        for (int64_t i = 0; i < count; ++i) to[i] += rows[i];
      }
    }
  });
}

}  // namespace flexae
